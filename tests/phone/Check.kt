import java.io.File
import modelpatch.example.Answer
import modelpatch.example.Classifier
import modelpatch.example.Graph
import modelpatch.example.PatchFileException
import modelpatch.example.PatchInputs
import modelpatch.example.Picture
import modelpatch.example.Values
import modelpatch.example.best
import modelpatch.example.networkInput
import modelpatch.example.prepare
import modelpatch.example.seededImage
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.json.JSONArray
import org.json.JSONObject

/** What the example's code makes of a folder's cases; test_android.py says what is right. */
fun main(arguments: Array<String>) {
    val folder = File(arguments[0])
    val patch = PatchInputs.read(File(folder, "task.safetensors").readBytes())
    val how = patch.preprocessing
    val pictures = JSONObject(File(folder, "pictures.json").readText())
    for (name in pictures.keys()) {
        val (width, height) = List(2) { pictures.getJSONArray(name).getInt(it) }
        val picture = Picture(width, height, File(folder, name).readBytes())
        for (fit in listOf("stretch", "crop", "pad")) {
            val own = modelpatch.example.Preprocessing(
                how.size, fit, how.mean, how.std, how.background
            )
            File(folder, "$name.$fit").writeBytes(prepare(picture, own).data)
            File(folder, "$name.$fit.input").writeBytes(bytes(networkInput(picture, own)))
        }
    }
    File(folder, "noise").writeBytes(bytes(seededImage(patch.parity.seed, 1000)))
    val graph = Kept(patch)
    val task = Classifier(graph, patch)
    val picture = Picture(1, 1, ByteArray(3))
    val said = task.answer(picture, 2).map { listOf(it.label, it.probability) }
    val faults = folder.listFiles().filter { it.name.endsWith(".bad") }.associate {
        it.name to refusal { PatchInputs.read(it.readBytes()) }
    }
    graph.wrong = true
    val found = mapOf(
        "task" to task.task,
        "answers" to said,
        "faults" to faults,
        "unlike" to refusal { Classifier(graph, patch) }
    )
    println(JSONObject(found))
    for ((name, values) in graph.given) {
        File(folder, name.replace("/", "_")).writeBytes(bytes(values.numbers))
    }
}

/** Gives the logits that the patch states. */
private class Kept(private val patch: PatchInputs) : Graph {
    override val classes = 6
    override val size = patch.preprocessing.size
    var wrong = false
    var given: Map<String, Values> = mapOf()

    override fun run(inputs: Map<String, Values>): FloatArray {
        given = inputs
        return FloatArray(classes) {
            val stated = patch.parity.logits.getOrElse(it) { Double.NaN }.toFloat()
            if (wrong) stated + 1 else stated
        }
    }
}

private fun refusal(action: () -> Any): String =
    try {
        "$action taken: ${action()}"
    } catch (error: PatchFileException) {
        "refused: ${error.message}"
    }

private fun bytes(numbers: FloatArray): ByteArray {
    val buffer = ByteBuffer.allocate(4 * numbers.size).order(ByteOrder.LITTLE_ENDIAN)
    buffer.asFloatBuffer().put(numbers)
    return buffer.array()
}
