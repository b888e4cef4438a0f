import UIKit

/// The pixels of a picture file, upright, transparent ones laid over a colour.
func openPicture(_ data: Data, background: [UInt8]) throws -> Picture {
  guard let image = UIImage(data: data), let stored = image.cgImage else {
    throw PatchFileError("it is no picture that this device reads")
  }
  let turned = [.left, .leftMirrored, .right, .rightMirrored].contains(image.imageOrientation)
  let width = turned ? stored.height : stored.width
  let height = turned ? stored.width : stored.height
  var rgba = [UInt8](repeating: 255, count: width * height * 4)
  try rgba.withUnsafeMutableBytes { buffer in
    guard
      let space = CGColorSpace(name: CGColorSpace.sRGB),
      let context = CGContext(
        data: buffer.baseAddress, width: width, height: height, bitsPerComponent: 8,
        bytesPerRow: 4 * width, space: space,
        bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
    else { throw PatchFileError("there is no memory for it") }
    let parts = background.map { CGFloat($0) / 255 }
    context.setFillColor(
      CGColor(srgbRed: parts[0], green: parts[1], blue: parts[2], alpha: 1))
    context.fill(CGRect(x: 0, y: 0, width: width, height: height))
    // UIKit's origin is at the top, Core Graphics' at the bottom; UIKit turns the picture upright.
    context.translateBy(x: 0, y: CGFloat(height))
    context.scaleBy(x: 1, y: -1)
    context.interpolationQuality = .none
    UIGraphicsPushContext(context)
    image.draw(in: CGRect(x: 0, y: 0, width: width, height: height))
    UIGraphicsPopContext()
  }
  var rgb = [UInt8](repeating: 0, count: width * height * 3)
  for pixel in 0..<(width * height) {
    for channel in 0..<3 { rgb[3 * pixel + channel] = rgba[4 * pixel + channel] }
  }
  return Picture(width: width, height: height, data: rgb)
}
