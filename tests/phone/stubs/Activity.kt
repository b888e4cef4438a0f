package android.app

import android.content.Context
import android.content.Intent
import android.os.Bundle
import android.widget.View

const val RESULT = -1

open class Activity : Context() {
    val RESULT_OK = RESULT // in Java a constant of the class

    protected open fun onCreate(state: Bundle?): Unit = TODO("$state")

    protected open fun onActivityResult(request: Int, result: Int, data: Intent?): Unit =
        TODO("$request $result $data")

    fun startActivityForResult(intent: Intent, request: Int): Unit = TODO("$intent $request")

    fun setContentView(view: View): Unit = TODO("$view")

    fun runOnUiThread(action: () -> Unit): Unit = action()
}
