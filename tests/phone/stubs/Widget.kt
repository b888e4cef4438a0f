package android.widget

import android.content.Context

open class View(context: Context)

open class TextView(context: Context) : View(context) {
    var text: CharSequence = ""

    fun setOnClickListener(listener: (View) -> Unit): Unit = TODO("$listener")
}

class Button(context: Context) : TextView(context)

class LinearLayout(context: Context) : View(context) {
    var orientation: Int = 0

    fun addView(view: View): Unit = TODO("$view")

    companion object {
        const val VERTICAL = 1
    }
}
