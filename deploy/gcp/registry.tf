resource "google_artifact_registry_repository" "images" {
  repository_id = "skyblend"
  location      = var.region
  format        = "DOCKER"
  description   = "Images of Skyblend: ingest, preprocess, serve, train."

  # An image is a few hundred MB and half a gigabyte is free: what a rollback needs stays, the rest goes.
  # KEEP wins over DELETE, so the newest versions stay however old they are.
  cleanup_policies {
    id     = "keep-the-newest"
    action = "KEEP"
    most_recent_versions {
      keep_count = 5
    }
  }
  cleanup_policies {
    id     = "delete-after-30-days"
    action = "DELETE"
    condition {
      tag_state  = "ANY"
      older_than = "2592000s"
    }
  }

  depends_on = [time_sleep.apis]
}

# Source archives of `gcloud builds submit`, kept apart from the weather.
resource "google_storage_bucket" "builds" {
  name                        = "${var.project}-skyblend-builds"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  # The repository has the source; the archive is of no use once the image stands.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = 7
    }
  }

  depends_on = [time_sleep.apis]
}
