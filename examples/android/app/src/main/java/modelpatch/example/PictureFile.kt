package modelpatch.example

import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Matrix
import android.media.ExifInterface
import java.io.File
import java.io.IOException

/** The pixels of a picture file, upright, transparent ones laid over a colour. */
fun openPicture(file: File, background: List<Int>): Picture {
    val stored = BitmapFactory.decodeFile(file.path)
        ?: throw IOException("it is no picture that this device reads")
    val turn = turn(ExifInterface(file.path))
    val bitmap = Bitmap.createBitmap(stored, 0, 0, stored.width, stored.height, turn, false)
    val opaque = Bitmap.createBitmap(bitmap.width, bitmap.height, Bitmap.Config.ARGB_8888)
    val canvas = Canvas(opaque)
    val (red, green, blue) = background
    canvas.drawColor(Color.rgb(red, green, blue))
    canvas.drawBitmap(bitmap, 0f, 0f, null)
    val pixels = IntArray(opaque.width * opaque.height)
    opaque.getPixels(pixels, 0, opaque.width, 0, 0, opaque.width, opaque.height)
    val data = ByteArray(pixels.size * 3)
    pixels.forEachIndexed { index, pixel ->
        data[3 * index] = Color.red(pixel).toByte()
        data[3 * index + 1] = Color.green(pixel).toByte()
        data[3 * index + 2] = Color.blue(pixel).toByte()
    }
    return Picture(opaque.width, opaque.height, data)
}

/** How a stored picture is turned and mirrored to stand as the camera was held. */
private fun turn(exif: ExifInterface): Matrix {
    val matrix = Matrix()
    when (exif.getAttributeInt(ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL)) {
        ExifInterface.ORIENTATION_FLIP_HORIZONTAL -> matrix.setScale(-1f, 1f)
        ExifInterface.ORIENTATION_ROTATE_180 -> matrix.setRotate(180f)
        ExifInterface.ORIENTATION_FLIP_VERTICAL -> matrix.setScale(1f, -1f)
        ExifInterface.ORIENTATION_TRANSPOSE -> {
            matrix.setRotate(90f)
            matrix.postScale(-1f, 1f)
        }
        ExifInterface.ORIENTATION_ROTATE_90 -> matrix.setRotate(90f)
        ExifInterface.ORIENTATION_TRANSVERSE -> {
            matrix.setRotate(270f)
            matrix.postScale(-1f, 1f)
        }
        ExifInterface.ORIENTATION_ROTATE_270 -> matrix.setRotate(270f)
    }
    return matrix
}
