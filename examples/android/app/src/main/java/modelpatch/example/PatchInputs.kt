package modelpatch.example

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject

/** A float32 array as a graph takes it. */
class Values(val shape: List<Int>, val numbers: FloatArray)

/** How a picture becomes a network's input. */
class Preprocessing(
    val size: Int,
    val fit: String,
    val mean: FloatArray,
    val std: FloatArray,
    val background: List<Int>
)

/** The image that a patch states its logits for, and these. */
class Parity(val seed: Long, val logits: DoubleArray, val tolerance: Double)

/** Why a file is no patch, in words. */
class PatchFileException(said: String) : Exception(said)

/**
 * A patch as `launch/export --to=inputs` writes it: a safetensors file of a graph's inputs.
 *
 * Eight bytes of length, little-endian; so many bytes of JSON, which say where in the rest each
 * array lies; then the arrays, float32, little-endian. What is no array is JSON too, in the text
 * `modelpatch` of the metadata.
 */
class PatchInputs(
    val task: String,
    val labels: List<String>,
    val fingerprint: String,
    val preprocessing: Preprocessing,
    val parity: Parity,
    val inputs: Map<String, Values>
) {
    companion object {
        /** Throws [PatchFileException] for anything else. */
        fun read(bytes: ByteArray): PatchInputs =
            try {
                checked(bytes)
            } catch (error: JSONException) {
                throw PatchFileException("it lacks something: ${error.message}")
            }

        private fun checked(bytes: ByteArray): PatchInputs {
            val buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)
            check(bytes.size >= LENGTH, "it is no safetensors file")
            val length = buffer.getLong(0)
            check(length in 0..(bytes.size - LENGTH).toLong(), "its header is cut off")
            val header = JSONObject(String(bytes, LENGTH, length.toInt(), Charsets.UTF_8))
            val metadata = header.getJSONObject("__metadata__")
            header.remove("__metadata__")
            val about = JSONObject(metadata.getString("modelpatch"))
            check(!about.has("head"), "its head is no classifier's")
            val labels = about.getJSONArray("labels").texts()
            val start = LENGTH + length.toInt()
            val inputs = header.keys().asSequence().associateWith { name ->
                values(name, header.getJSONObject(name), buffer, start)
            }
            val head = inputs["head/b"]
            check(head != null && head.shape == listOf(labels.size), "its head has other labels")
            val kernel = inputs["head/w"]
            check(kernel != null && kernel.shape.drop(1) == listOf(labels.size), "it has no head")
            return PatchInputs(
                about.getString("task"),
                labels,
                about.getString("fingerprint"),
                preprocessing(about.getJSONObject("preprocessing")),
                parity(about.getJSONObject("parity")),
                inputs
            )
        }

        private fun values(name: String, entry: JSONObject, buffer: ByteBuffer, start: Int): Values {
            check(entry.getString("dtype") == "F32", "$name is not of 32 bits")
            val shape = entry.getJSONArray("shape").whole()
            val places = entry.getJSONArray("data_offsets").whole()
            check(places.size == 2 && shape.all { it >= 0 }, "$name has no place, or no shape")
            val (from, to) = places
            val count = shape.fold(1L) { product, side -> product * side }
            check(from >= 0 && (to - from).toLong() == WIDTH * count, "$name has another size than its shape")
            check(start.toLong() + to <= buffer.capacity(), "$name is cut off")
            val numbers = FloatArray(count.toInt()) { buffer.getFloat(start + from + 4 * it) }
            check(numbers.all { it.isFinite() }, "$name holds what is no finite number")
            return Values(shape, numbers)
        }

        private fun preprocessing(said: JSONObject): Preprocessing {
            val fit = said.getString("fit")
            check(fit in listOf("stretch", "crop", "pad"), "nobody knows the fit $fit")
            val found = Preprocessing(
                said.getInt("size"),
                fit,
                said.getJSONArray("mean").floats(),
                said.getJSONArray("std").floats(),
                said.getJSONArray("background").whole()
            )
            val colours = listOf(found.mean.size, found.std.size, found.background.size)
            check(found.size > 0 && colours.all { it == 3 }, "it prepares no images of three colours")
            return found
        }

        private fun parity(said: JSONObject) = Parity(
            said.getLong("seed"), said.getJSONArray("logits").numbers(), said.getDouble("tolerance")
        )

        private fun JSONArray.texts() = List(length()) { getString(it) }

        private fun JSONArray.whole() = List(length()) { getInt(it) }

        private fun JSONArray.numbers() = DoubleArray(length()) { getDouble(it) }

        private fun JSONArray.floats() = FloatArray(length()) { getDouble(it).toFloat() }

        private fun check(holds: Boolean, said: String) {
            if (!holds) throw PatchFileException(said)
        }

        private const val LENGTH = 8 // bytes, of the header's length
        private const val WIDTH = 4L // bytes, of a float32
    }
}
