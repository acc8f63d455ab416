resource "google_monitoring_dashboard" "this" {
  dashboard_json = file("${path.module}/dashboard.json")
  depends_on     = [time_sleep.metrics]

  lifecycle {
    # Monitoring gives it back with defaults filled in; a change of the file counts, that does not.
    replace_triggered_by = [terraform_data.dashboard]
    ignore_changes       = [dashboard_json]
  }
}

resource "terraform_data" "dashboard" {
  input = filesha256("${path.module}/dashboard.json")
}
