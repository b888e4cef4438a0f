package modelpatch.example

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.Interpreter

/**
 * What `launch/export --backbone=NAME --portable --batches=1 --sizes=SIZE` wrote, in LiteRT.
 *
 * One call at a time: an [Interpreter] is not for several threads.
 */
class LiteRtGraph(file: File, override val size: Int) : Graph, AutoCloseable {
    private val interpreter = Interpreter(file, Interpreter.Options().setNumThreads(2))
    private val signature = "norms_${size}_1"

    override val classes: Int =
        interpreter.getInputTensorFromSignature("head/b", signature).shape()[0]

    @Synchronized
    override fun run(inputs: Map<String, Values>): FloatArray {
        val wanted = interpreter.getSignatureInputs(signature).toSet()
        val odd = wanted - inputs.keys + (inputs.keys - wanted)
        if (odd.isNotEmpty()) throw PatchFileException("it does not fit this graph: $odd")
        val logits = arrayOf(FloatArray(classes))
        interpreter.runSignature(
            inputs.mapValues { (_, values) -> direct(values.numbers) },
            mapOf<String, Any>("logits" to logits),
            signature
        )
        return logits[0]
    }

    override fun close() = interpreter.close()

    /** LiteRT takes memory that Java does not move, in the order of the machine's bytes. */
    private fun direct(numbers: FloatArray): ByteBuffer {
        val buffer = ByteBuffer.allocateDirect(4 * numbers.size).order(ByteOrder.nativeOrder())
        buffer.asFloatBuffer().put(numbers)
        return buffer
    }
}
