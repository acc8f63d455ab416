resource "google_cloud_run_v2_job" "train" {
  name                = "skyblend-train"
  location            = var.region
  deletion_protection = var.protect

  template {
    template {
      service_account       = google_service_account.this["train"].email
      execution_environment = "EXECUTION_ENVIRONMENT_GEN2"
      # Fits take seconds a variable; reading a year of 1,000 places from BigQuery takes minutes. An hour is stuck.
      timeout = "3600s"
      # A repeat changes nothing that is done, and a second failure is no accident.
      max_retries = 1

      containers {
        image = var.placeholder_job
        resources {
          limits = {
            # The fits run in one thread; the second processor reads ahead.
            cpu = "2"
            # One variable's history at a time, as columns of doubles: 1 GB for a year of 1,000 places and 7 forecasters.
            memory = "4Gi"
          }
        }

        dynamic "env" {
          # A job answers nobody, and iam is for what stands behind Cloud Run's front door.
          for_each = merge(local.env, local.traced, {
            SKYBLEND_AUTH     = "oidc"
            SKYBLEND_AUDIENCE = local.urls["serve"]
          })
          content {
            name  = env.key
            value = env.value
          }
        }
      }
    }
  }

  lifecycle {
    # Cloud Build deploys images by digest.
    ignore_changes = [template[0].template[0].containers[0].image, template[0].labels, client, client_version]
  }

  depends_on = [
    google_storage_bucket_iam_member.reads,
    google_storage_bucket_iam_member.writes,
  ]
}
