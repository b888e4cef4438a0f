package modelpatch.example

import java.security.MessageDigest
import kotlin.math.abs
import kotlin.math.exp
import kotlin.math.max

/** A backbone's graph, exported once for all tasks. */
interface Graph {
    /** How many classes a head may have. */
    val classes: Int

    /** The side of the images that it looks at, in pixels. */
    val size: Int

    /** Its logits, [classes] of them, for `images`, `head/w`, `head/b` and what patches bring. */
    fun run(inputs: Map<String, Values>): FloatArray
}

/** A label, and how probable it is. */
class Answer(val label: String, val probability: Double)

/** One task: a patch on a graph that it was proven on. */
class Classifier(private val graph: Graph, private val patch: PatchInputs) {
    private val inputs = patch.inputs + mapOf("head/w" to widerKernel(), "head/b" to widerBias())

    val task get() = patch.task
    val preprocessing get() = patch.preprocessing

    /** Throws [PatchFileException] unless the graph gives the logits that the patch states. */
    init {
        val size = patch.preprocessing.size
        if (size != graph.size) {
            throw PatchFileException("it looks at $size pixels, this graph at ${graph.size}")
        }
        val got = logits(seededImage(patch.parity.seed, size * size * 3))
        val expected = patch.parity.logits
        val most = expected.fold(TOLERANCE) { most, logit -> max(most, TOLERANCE * abs(logit)) }
        val same = got.size == expected.size && got.indices.all {
            abs(got[it] - expected[it]) <= patch.parity.tolerance // which NaN is not
        }
        if (!same || patch.parity.tolerance > most) {
            throw PatchFileException("it does not give the logits here that it states")
        }
    }

    /** The most probable labels of a picture, best first. */
    fun answer(picture: Picture, top: Int): List<Answer> {
        val logits = logits(networkInput(picture, patch.preprocessing))
        return best(patch.labels, logits, top)
    }

    private fun logits(image: FloatArray): FloatArray {
        val size = patch.preprocessing.size
        val images = Values(listOf(1, size, size, 3), image)
        return graph.run(inputs + ("images" to images)).copyOf(patch.labels.size)
    }

    /** The head's kernel, [features, classes], with columns of zeros after its own. */
    private fun widerKernel(): Values {
        val kernel = patch.inputs.getValue("head/w")
        val (features, own) = kernel.shape
        if (own > graph.classes) {
            throw PatchFileException("it has $own classes, this graph room for ${graph.classes}")
        }
        val wide = FloatArray(features * graph.classes)
        for (row in 0 until features) {
            kernel.numbers.copyInto(wide, row * graph.classes, row * own, (row + 1) * own)
        }
        return Values(listOf(features, graph.classes), wide)
    }

    /** The head's bias, with NaN where there is no class: nobody takes that for an answer. */
    private fun widerBias(): Values {
        val own = patch.inputs.getValue("head/b").numbers
        val wide = FloatArray(graph.classes) { if (it < own.size) own[it] else Float.NaN }
        return Values(listOf(graph.classes), wide)
    }

    private companion object {
        const val TOLERANCE = 2e-3 // as adapters/store/parity.py has it
    }
}

/** The `count` most probable of `labels`. */
fun best(labels: List<String>, logits: FloatArray, count: Int): List<Answer> {
    check(logits.all { it.isFinite() }) { "the patch does not suit such pictures" }
    val largest = logits.fold(Float.NEGATIVE_INFINITY) { most, logit -> max(most, logit) }
    val scores = logits.map { exp((it - largest).toDouble()) }
    val whole = scores.sum()
    return labels.zip(scores) { label, score -> Answer(label, score / whole) }
        .sortedByDescending { it.probability }
        .take(count)
}

/** The noise image of a seed, as adapters/store/parity.py makes it. */
fun seededImage(seed: Long, length: Int): FloatArray {
    val image = FloatArray(length)
    for (start in 0 until length step BLOCK) {
        val text = "modelpatch parity $seed ${start / BLOCK}"
        val block = MessageDigest.getInstance("SHA-256").digest(text.toByteArray())
        for (at in start until minOf(start + BLOCK, length)) {
            image[at] = ((block[at - start].toInt() and 255) - 127.5f) / 128
        }
    }
    return image
}

private const val BLOCK = 32 // bytes of a sha256
