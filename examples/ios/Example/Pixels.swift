/// RGB pixels, row by row, three bytes each.
struct Picture {
  let width: Int
  let height: Int
  var data: [UInt8]
}

/// A network's input [size * size * 3], as a patch's preprocessing says.
func networkInput(_ picture: Picture, _ how: Preprocessing) -> [Float] {
  prepare(picture, how).data.enumerated().map { index, pixel in
    (Float(pixel) - how.mean[index % 3]) / how.std[index % 3]
  }
}

/// The square that the network looks at, to the bit as Pillow makes it where it was trained.
func prepare(_ picture: Picture, _ how: Preprocessing) -> Picture {
  let size = how.size
  var (width, height) = (Double(picture.width), Double(picture.height))
  var (left, top) = (0.0, 0.0)
  var (columns, rows) = (size, size)
  if how.fit == "crop" {
    let side = min(width, height)
    (left, top) = ((width - side) / 2, (height - side) / 2)
    (width, height) = (side, side)
  } else if how.fit == "pad" {
    let scale = Double(size) / max(width, height)
    columns = max(1, Int((width * scale).rounded(.toNearestOrEven)))
    rows = max(1, Int((height * scale).rounded(.toNearestOrEven)))
  }
  let box = (left: left, top: top, right: left + width, bottom: top + height)
  let resized = resize(picture, columns, rows, box)
  return columns == size && rows == size ? resized : padded(resized, how)
}

private func padded(_ picture: Picture, _ how: Preprocessing) -> Picture {
  let size = how.size
  var square = (0..<(size * size * 3)).map { how.background[$0 % 3] }
  let (left, top) = ((size - picture.width) / 2, (size - picture.height) / 2)
  for y in 0..<picture.height {
    let to = ((top + y) * size + left) * 3
    let row = picture.data[(y * picture.width * 3)..<((y + 1) * picture.width * 3)]
    square.replaceSubrange(to..<(to + row.count), with: row)
  }
  return Picture(width: size, height: size, data: square)
}

/// The fixed-point weights of the pixels that one output pixel is a sum of, from `start` on.
private struct Weights {
  let start: Int
  let values: [Int32]
}

/// Pillow's bilinear resampling, to the bit. Core Graphics resamples otherwise, and the network was
/// trained on this.
private func resize(
  _ picture: Picture, _ width: Int, _ height: Int,
  _ box: (left: Double, top: Double, right: Double, bottom: Double)
) -> Picture {
  let columns = weights(picture.width, Float(box.left), Float(box.right), width)
  let rows = weights(picture.height, Float(box.top), Float(box.bottom), height)
  // The order shows, since bytes are rounded between the passes.
  let lost = picture.height - height
  return lost > 0 && lost > 2 * (picture.width - width)
    ? across(down(picture, rows), columns) : down(across(picture, columns), rows)
}

private func across(_ picture: Picture, _ columns: [Weights]) -> Picture {
  var data = [UInt8](repeating: 0, count: picture.height * columns.count * 3)
  for (x, own) in columns.enumerated() {
    for y in 0..<picture.height {
      let from = (y * picture.width + own.start) * 3
      blend(picture.data, from, 3, own.values, &data, (y * columns.count + x) * 3)
    }
  }
  return Picture(width: columns.count, height: picture.height, data: data)
}

private func down(_ picture: Picture, _ rows: [Weights]) -> Picture {
  let width = picture.width
  var data = [UInt8](repeating: 0, count: rows.count * width * 3)
  for (y, own) in rows.enumerated() {
    for x in 0..<width {
      let from = (own.start * width + x) * 3
      blend(picture.data, from, width * 3, own.values, &data, (y * width + x) * 3)
    }
  }
  return Picture(width: width, height: rows.count, data: data)
}

/// Writes the weighted sum of pixels that lie `step` bytes apart.
private func blend(
  _ source: [UInt8], _ from: Int, _ step: Int, _ values: [Int32], _ target: inout [UInt8], _ to: Int
) {
  for channel in 0..<3 {
    var sum: Int32 = 1 << (bits - 1)
    var at = from + channel
    for value in values {
      sum += Int32(source[at]) * value
      at += step
    }
    target[to + channel] = UInt8(truncatingIfNeeded: sum >> bits)
  }
}

private func weights(_ length: Int, _ from: Float, _ to: Float, _ outputs: Int) -> [Weights] {
  let scale = Double(to - from) / Double(outputs)
  let support = max(scale, 1)  // of a triangle, in input pixels to either side
  return (0..<outputs).map { output in
    let center = Double(from) + (Double(output) + 0.5) * scale
    let start = max(0, Int(center - support + 0.5))
    let end = min(length, Int(center + support + 0.5))
    let shares = (start..<end).map { max(0, 1 - abs((Double($0) - center + 0.5) * (1 / support))) }
    let whole = shares.reduce(0, +)
    let values = shares.map { Int32($0 / whole * Double(1 << bits) + 0.5) }
    return Weights(start: start, values: values)
  }
}

private let bits: Int32 = 22  // of the fraction in fixed-point weights
