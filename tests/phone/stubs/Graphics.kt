package android.graphics

class Bitmap(val width: Int, val height: Int) {
    enum class Config { ARGB_8888 }

    fun getPixels(
        pixels: IntArray, offset: Int, stride: Int, x: Int, y: Int, width: Int, height: Int
    ): Unit = TODO("$pixels $offset $stride $x $y $width $height")

    companion object {
        fun createBitmap(width: Int, height: Int, config: Config): Bitmap =
            TODO("$width $height $config")

        fun createBitmap(
            source: Bitmap,
            x: Int,
            y: Int,
            width: Int,
            height: Int,
            matrix: Matrix?,
            filter: Boolean
        ): Bitmap = TODO("$source $x $y $width $height $matrix $filter")
    }
}

object BitmapFactory {
    fun decodeFile(path: String): Bitmap? = TODO(path)
}

class Canvas(bitmap: Bitmap) {
    fun drawColor(color: Int): Unit = TODO("$color")

    fun drawBitmap(bitmap: Bitmap, left: Float, top: Float, paint: Paint?): Unit =
        TODO("$bitmap $left $top $paint")
}

class Paint

object Color {
    fun rgb(red: Int, green: Int, blue: Int): Int = TODO("$red $green $blue")

    fun red(color: Int): Int = TODO("$color")

    fun green(color: Int): Int = TODO("$color")

    fun blue(color: Int): Int = TODO("$color")
}

class Matrix {
    fun setRotate(degrees: Float): Unit = TODO("$degrees")

    fun setScale(x: Float, y: Float): Unit = TODO("$x $y")

    fun postScale(x: Float, y: Float): Boolean = TODO("$x $y")
}
