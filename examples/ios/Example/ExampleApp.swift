import PhotosUI
import SwiftUI

/// Asks for a picture, and says what the task of `task.safetensors` sees in it.
@main
struct ExampleApp: App {
  var body: some Scene {
    WindowGroup { ContentView() }
  }
}

struct ContentView: View {
  @State private var chosen: PhotosPickerItem?
  @State private var said = ""

  var body: some View {
    VStack(spacing: 24) {
      PhotosPicker("Choose a picture", selection: $chosen, matching: .images)
      Text(said)
    }
    .onChange(of: chosen) { item in
      Task { said = await described(item) }
    }
  }

  private func described(_ item: PhotosPickerItem?) async -> String {
    do {
      guard let data = try await item?.loadTransferable(type: Data.self) else { return "" }
      return try await Answering.shared.described(data)
    } catch {
      return error.localizedDescription
    }
  }
}

/// One classifier, which one caller at a time asks.
actor Answering {
  static let shared = Answering()
  private var classifier: Classifier?

  func described(_ data: Data) throws -> String {
    let ready = try classifier ?? opened()
    classifier = ready
    let picture = try openPicture(data, background: ready.patch.preprocessing.background)
    return try ready.answer(picture, top: 3)
      .map { String(format: "%@ %.1f %%", $0.label, 100 * $0.probability) }
      .joined(separator: "\n")
  }

  private func opened() throws -> Classifier {
    let bundle = Bundle.main
    guard let graph = bundle.path(forResource: "backbone", ofType: "tflite"),
      let file = bundle.url(forResource: "task", withExtension: "safetensors")
    else { throw PatchFileError("backbone.tflite or task.safetensors is not in the app") }
    let patch = try PatchInputs(try Data(contentsOf: file))
    return try Classifier(try LiteRtGraph(path: graph, size: patch.preprocessing.size), patch)
  }
}
