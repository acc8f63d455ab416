locals {
  # Every call may come late or twice: what is done is seen from the bucket.
  ticks = {
    # Providers are asked once an hour, and most ticks find nothing due. Such a tick costs two listings of the bucket for
    # each provider, and a start: with five of them two euros a month and more if it came every minute, and it would
    # bring nothing but quicker repeats. What a provider refused, or a new place, is taken up within a quarter of an hour.
    collect = { service = "ingest", path = "/v1/collect", schedule = var.collect_schedule, deadline = "540s" }
    # What issues, unless SKYBLEND_ISSUE_ON says otherwise (services.tf). After the round of the full hour.
    issue = { service = "serve", path = "/v1/issue", schedule = "10 * * * *", deadline = "540s" }
    # Far below BigQuery's 1,500 loads a table and day, and training and skill need no fresher tables.
    load = { service = "preprocess", path = "/v1/load", schedule = "5-59/15 * * * *", deadline = "570s" }
  }
}

resource "google_cloud_scheduler_job" "tick" {
  for_each  = local.ticks
  name      = "skyblend-${each.key}"
  region    = var.region
  schedule  = each.value.schedule
  time_zone = "Etc/UTC"
  # As long as the service itself gives a request (request_seconds in services.tf).
  attempt_deadline = each.value.deadline

  # Two more tries within minutes; after that the next tick does what this one did not.
  retry_config {
    retry_count          = 2
    min_backoff_duration = "10s"
    max_backoff_duration = "120s"
  }

  http_target {
    http_method = "POST"
    uri         = "${local.urls[each.value.service]}${each.value.path}"
    headers     = { "Content-Type" = "application/json" }
    body        = base64encode("{}")
    oidc_token {
      service_account_email = google_service_account.this["scheduler"].email
      audience              = local.urls[each.value.service]
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.scheduler]
}

# Once a day, at an hour when the observations of the day before have arrived.
resource "google_cloud_scheduler_job" "train" {
  name             = "skyblend-train"
  region           = var.region
  schedule         = "20 4 * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "60s" # starting the job is all that is waited for

  retry_config {
    retry_count          = 2
    min_backoff_duration = "60s"
    max_backoff_duration = "600s"
  }

  http_target {
    http_method = "POST"
    uri         = "https://run.googleapis.com/v2/${google_cloud_run_v2_job.train.id}:run"
    headers     = { "Content-Type" = "application/json" }
    body        = base64encode("{}")
    # A Google API takes an access token, not an identity token.
    oauth_token {
      service_account_email = google_service_account.this["scheduler"].email
    }
  }

  depends_on = [google_cloud_run_v2_job_iam_member.scheduler]
}
