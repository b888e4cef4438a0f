plugins {
  id("com.android.application") version "8.7.3"
  id("org.jetbrains.kotlin.android") version "2.0.21"
}

android {
  namespace = "modelpatch.example"
  compileSdk = 35
  defaultConfig {
    applicationId = "modelpatch.example"
    minSdk = 24
    targetSdk = 35
  }
  compileOptions {
    sourceCompatibility = JavaVersion.VERSION_17
    targetCompatibility = JavaVersion.VERSION_17
  }
  kotlinOptions { jvmTarget = "17" }
}

dependencies { implementation("com.google.ai.edge.litert:litert:1.4.0") }
