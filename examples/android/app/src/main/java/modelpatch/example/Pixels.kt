package modelpatch.example

import kotlin.math.abs
import kotlin.math.max
import kotlin.math.min

/** RGB pixels, row by row, three bytes each. */
class Picture(val width: Int, val height: Int, val data: ByteArray)

/** A network's input [size * size * 3], as a patch's preprocessing says. */
fun networkInput(picture: Picture, how: Preprocessing): FloatArray {
    val pixels = prepare(picture, how).data
    return FloatArray(pixels.size) {
        ((pixels[it].toInt() and 255).toFloat() - how.mean[it % 3]) / how.std[it % 3]
    }
}

/** The square that the network looks at, to the bit as Pillow makes it where it was trained. */
fun prepare(picture: Picture, how: Preprocessing): Picture {
    val size = how.size
    var width = picture.width.toDouble()
    var height = picture.height.toDouble()
    var left = 0.0
    var top = 0.0
    var across = size
    var down = size
    if (how.fit == "crop") {
        val side = min(width, height)
        left = (width - side) / 2
        top = (height - side) / 2
        width = side
        height = side
    } else if (how.fit == "pad") {
        val scale = size / max(width, height)
        across = max(1, Math.rint(width * scale).toInt())
        down = max(1, Math.rint(height * scale).toInt())
    }
    val resized = resize(picture, across, down, left, top, left + width, top + height)
    return if (across == size && down == size) resized else padded(resized, how)
}

private fun padded(picture: Picture, how: Preprocessing): Picture {
    val size = how.size
    val square = ByteArray(size * size * 3) { how.background[it % 3].toByte() }
    val left = (size - picture.width) / 2
    val top = (size - picture.height) / 2
    for (y in 0 until picture.height) {
        val row = y * picture.width * 3
        picture.data.copyInto(
            square, ((top + y) * size + left) * 3, row, row + picture.width * 3
        )
    }
    return Picture(size, size, square)
}

/** The fixed-point weights of the pixels that one output pixel is a sum of, from `start` on. */
private class Weights(val start: Int, val values: IntArray)

/**
 * Pillow's bilinear resampling, to the bit. Android's own looks at few pixels where a picture
 * becomes much smaller, and the network was trained on all of them.
 */
private fun resize(
    picture: Picture,
    width: Int,
    height: Int,
    left: Double,
    top: Double,
    right: Double,
    bottom: Double
): Picture {
    val columns = weights(picture.width, left.toFloat(), right.toFloat(), width)
    val rows = weights(picture.height, top.toFloat(), bottom.toFloat(), height)
    // The order shows, since bytes are rounded between the passes.
    val lost = picture.height - height
    return if (lost > 0 && lost > 2 * (picture.width - width)) {
        across(down(picture, rows), columns)
    } else {
        down(across(picture, columns), rows)
    }
}

private fun across(picture: Picture, columns: List<Weights>): Picture {
    val data = ByteArray(picture.height * columns.size * 3)
    columns.forEachIndexed { x, own ->
        for (y in 0 until picture.height) {
            val from = (y * picture.width + own.start) * 3
            blend(picture.data, from, 3, own.values, data, (y * columns.size + x) * 3)
        }
    }
    return Picture(columns.size, picture.height, data)
}

private fun down(picture: Picture, rows: List<Weights>): Picture {
    val width = picture.width
    val data = ByteArray(rows.size * width * 3)
    rows.forEachIndexed { y, own ->
        for (x in 0 until width) {
            val from = (own.start * width + x) * 3
            blend(picture.data, from, width * 3, own.values, data, (y * width + x) * 3)
        }
    }
    return Picture(width, rows.size, data)
}

/** Writes the weighted sum of pixels that lie `step` bytes apart. */
private fun blend(
    source: ByteArray, from: Int, step: Int, values: IntArray, target: ByteArray, to: Int
) {
    for (channel in 0 until 3) {
        var sum = HALF
        var at = from + channel
        for (value in values) {
            sum += (source[at].toInt() and 255) * value
            at += step
        }
        target[to + channel] = (sum shr BITS).toByte()
    }
}

private fun weights(length: Int, from: Float, to: Float, outputs: Int): List<Weights> {
    val scale = (to - from).toDouble() / outputs
    val support = max(scale, 1.0) // of a triangle, in input pixels to either side
    return List(outputs) { output ->
        val center = from + (output + 0.5) * scale
        val start = max(0, (center - support + 0.5).toInt())
        val end = min(length, (center + support + 0.5).toInt())
        val shares = DoubleArray(end - start) {
            max(0.0, 1 - abs((it + start - center + 0.5) * (1 / support)))
        }
        val whole = shares.sum()
        Weights(start, IntArray(shares.size) { (shares[it] / whole * (1 shl BITS) + 0.5).toInt() })
    }
}

private const val BITS = 22 // of the fraction in fixed-point weights
private const val HALF = 1 shl (BITS - 1)
