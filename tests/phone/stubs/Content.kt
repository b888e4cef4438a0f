package android.content

import android.net.Uri
import java.io.File
import java.io.InputStream

abstract class Context {
    val assets: AssetManager get() = TODO()
    val cacheDir: File get() = TODO()
    val filesDir: File get() = TODO()
    val contentResolver: ContentResolver get() = TODO()
}

class AssetManager {
    fun open(name: String): InputStream = TODO(name)
}

class ContentResolver {
    fun openInputStream(uri: Uri): InputStream? = TODO("$uri")
}

class Intent(action: String) {
    val data: Uri? get() = TODO()

    fun setType(kind: String): Intent = TODO(kind)

    companion object {
        const val ACTION_GET_CONTENT = "android.intent.action.GET_CONTENT"
    }
}
