locals {
  # A training reads, each day anew, the last 60 days of four runs a day, from a table of its own: a bounded bill, and a
  # twentieth of what all runs of a year are. The hours are those that the table holds.
  trained = {
    SKYBLEND_TRAIN_DAYS  = "60"
    SKYBLEND_TRAIN_HOURS = "0,6,12,18"
  }
}

resource "google_cloud_run_v2_job" "train" {
  name                = "skyblend-train"
  location            = var.region
  deletion_protection = var.protect

  template {
    template {
      service_account       = google_service_account.this["train"].email
      execution_environment = "EXECUTION_ENVIRONMENT_GEN2"
      # Fits take seconds a variable, reading what fits into memory from BigQuery takes minutes. An hour is stuck.
      timeout = "3600s"
      # A repeat changes nothing that is done, and a second failure is no accident.
      max_retries = 1

      containers {
        image = var.placeholder_job
        resources {
          limits = {
            # The fits run in one thread; the second processor reads ahead.
            cpu = var.train_cpu
            # A training holds the history of one variable at a time, about 580 bytes a row while it is read: 4 GiB take
            # 7 million rows: 75 places with one model that tells 16 days, of 60 days and four runs a day.
            memory = var.train_memory
          }
        }

        dynamic "env" {
          # A job answers nobody, and iam is for what stands behind Cloud Run's front door.
          for_each = merge(local.env, local.traced, local.trained, {
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
