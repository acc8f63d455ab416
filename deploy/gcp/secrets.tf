# The containers only: a value is put in with `gcloud secrets versions add` and is never in a file or in the state.
resource "google_secret_manager_secret" "key" {
  for_each  = var.secrets
  secret_id = each.key

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }

  depends_on = [time_sleep.apis]
}
