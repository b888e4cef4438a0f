package modelpatch.example

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import android.widget.Button
import android.widget.LinearLayout
import android.widget.TextView
import java.io.File
import kotlin.concurrent.thread

/** Asks for a picture, and says what the task of `assets/task.safetensors` sees in it. */
class MainActivity : Activity() {
    private lateinit var said: TextView

    /** Opened once, by the first picture, in the thread that answers. */
    private val classifier by lazy {
        val patch = PatchInputs.read(assets.open(PATCH).use { it.readBytes() })
        Classifier(LiteRtGraph(kept(GRAPH), patch.preprocessing.size), patch)
    }

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        said = TextView(this)
        val button = Button(this)
        button.text = "Choose a picture"
        button.setOnClickListener {
            val wanted = Intent(Intent.ACTION_GET_CONTENT).setType("image/*")
            startActivityForResult(wanted, CHOOSE)
        }
        val page = LinearLayout(this)
        page.orientation = LinearLayout.VERTICAL
        page.addView(button)
        page.addView(said)
        setContentView(page)
    }

    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        val chosen = data?.data
        if (request != CHOOSE || result != RESULT_OK || chosen == null) return
        thread {
            val answer = try {
                val file = File(cacheDir, "picture")
                val stream = contentResolver.openInputStream(chosen) ?: error("it cannot be opened")
                stream.use { from -> file.outputStream().use { from.copyTo(it) } }
                described(file)
            } catch (error: Exception) { // whatever is wrong with a picture or a patch
                error.message ?: error.toString()
            }
            runOnUiThread { said.text = answer }
        }
    }

    @Synchronized
    private fun described(file: File): String {
        val picture = openPicture(file, classifier.preprocessing.background)
        return classifier.answer(picture, TOP).joinToString("\n") {
            "%s %.1f %%".format(it.label, 100 * it.probability)
        }
    }

    /** An asset as a file, which LiteRT maps instead of copying it into Java's memory. */
    private fun kept(name: String): File {
        val file = File(filesDir, name)
        assets.open(name).use { from -> file.outputStream().use { from.copyTo(it) } }
        return file
    }

    private companion object {
        const val GRAPH = "backbone.tflite"
        const val PATCH = "task.safetensors"
        const val TOP = 3
        const val CHOOSE = 1
    }
}
