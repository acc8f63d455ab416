output "urls" {
  description = "Addresses of the services."
  value       = local.urls
}

output "bucket" {
  description = "Bucket of raw answers, records and forecasts."
  value       = google_storage_bucket.data.name
}

output "builds" {
  description = "Where `gcloud builds submit` puts the source: --gcs-source-staging-dir."
  value       = "gs://${google_storage_bucket.builds.name}/source"
}

output "build_account" {
  description = "Account that builds run as: --service-account."
  value       = google_service_account.this["build"].id
}

output "dashboard" {
  description = "Dashboard in the console."
  value       = "https://console.cloud.google.com/monitoring/dashboards/builder/${reverse(split("/", google_monitoring_dashboard.this.id))[0]}?project=${var.project}"
}
