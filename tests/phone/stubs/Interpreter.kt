package org.tensorflow.lite

import java.io.File

/** The part of LiteRT's Java API that the example calls; for the compiler alone. */
class Interpreter(file: File, options: Options) : AutoCloseable {
    class Options {
        fun setNumThreads(threads: Int): Options = TODO("$threads")
    }

    fun getSignatureInputs(signature: String): Array<String> = TODO(signature)

    fun getInputTensorFromSignature(name: String, signature: String): Tensor = TODO(name + signature)

    fun runSignature(
        inputs: Map<String, Any>, outputs: Map<String, Any>, signature: String
    ): Unit = TODO("$inputs $outputs $signature")

    override fun close() = Unit
}

interface Tensor {
    fun shape(): IntArray
}
