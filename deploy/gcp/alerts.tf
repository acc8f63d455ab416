resource "google_monitoring_notification_channel" "email" {
  display_name = "Skyblend"
  type         = "email"
  labels       = { email_address = var.email }
  depends_on   = [time_sleep.apis]
}

# What the services log, as metrics: the same lines that `skyblend up` writes (skyblend.runtime.logs). A test compares
# the loggers and messages with the code.
locals {
  log_metrics = {
    processed = {
      about  = "Raw objects processed"
      filter = "resource.labels.service_name=\"skyblend-preprocess\" AND jsonPayload.logger=\"skyblend.preprocess.process\" AND jsonPayload.message=~\" processed$\""
    }
    quarantined = {
      about  = "Raw objects of which something was refused"
      filter = "resource.labels.service_name=\"skyblend-preprocess\" AND jsonPayload.logger=\"skyblend.preprocess.process\" AND jsonPayload.quarantined>0"
    }
    issued = {
      about  = "Cycles in which forecasts were issued"
      filter = "resource.labels.service_name=\"skyblend-serve\" AND jsonPayload.logger=\"skyblend.predict.serve.issue\" AND jsonPayload.places>0"
    }
    unanswered = {
      about  = "Calls to providers that brought no answer"
      filter = "resource.labels.service_name=\"skyblend-ingest\" AND jsonPayload.logger=\"skyblend.ingest.collecting\" AND severity=WARNING"
    }
    errors = {
      about  = "Lines of severity ERROR"
      filter = "resource.labels.service_name=~\"^skyblend-\" AND severity>=ERROR"
    }
  }
}

resource "google_logging_metric" "this" {
  for_each    = local.log_metrics
  name        = "skyblend/${each.key}"
  description = each.value.about
  filter      = "resource.type=\"cloud_run_revision\" AND ${each.value.filter}"
  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
  depends_on = [time_sleep.apis]
}

# The scheduler writes a line for each call that failed; its resource is another one.
resource "google_logging_metric" "ticks" {
  name        = "skyblend/failed_ticks"
  description = "Calls of the scheduler that failed"
  filter      = "resource.type=\"cloud_scheduler_job\" AND resource.labels.job_id=~\"^skyblend-\" AND severity>=ERROR"
  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
  depends_on = [time_sleep.apis]
}

# A metric that was made a moment ago is unknown to alerts for a while.
resource "time_sleep" "metrics" {
  depends_on      = [google_logging_metric.this, google_logging_metric.ticks]
  create_duration = "30s"
}

# Nothing arrives: a count below one in the whole period, or no count at all.
locals {
  stale = {
    processed = "Nothing was processed: providers, ingest or preprocess stand still"
    issued    = "Nothing was issued: what GET /v1/forecast answers grows old"
  }
  stale_seconds = "${var.stale_hours * 3600}s"

  # Anything above the limit within the period.
  too_many = {
    quarantine = {
      about  = "Something was refused: look with `skyblend quarantine list`; the others go on"
      filter = "metric.type=\"logging.googleapis.com/user/skyblend/quarantined\" AND resource.type=\"cloud_run_revision\""
      limit  = 0
      period = "3600s"
      sum    = true
    }
    dead-letters = {
      about  = "A message was given up: look with `skyblend dead-letters list`"
      filter = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${local.prefix}dead-letters\""
      limit  = 0
      period = "300s"
      sum    = false
    }
    backlog = {
      about  = "A message waits for more than half an hour: its service is down or too slow"
      filter = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=monitoring.regex.full_match(\"${local.prefix}(${join("|", keys(local.events))})\")"
      limit  = 1800
      period = "300s"
      sum    = false
    }
    server-errors = {
      about  = "A service answers 5xx"
      filter = "metric.type=\"run.googleapis.com/request_count\" AND resource.type=\"cloud_run_revision\" AND resource.labels.service_name=monitoring.regex.full_match(\"skyblend-(${join("|", keys(local.services))})\") AND metric.labels.response_code_class=\"5xx\""
      # A push that meets a starting instance is repeated by itself; more than that is trouble.
      limit  = 5
      period = "600s"
      sum    = true
    }
    job = {
      about  = "The training failed, with its repeat"
      filter = "metric.type=\"run.googleapis.com/job/completed_execution_count\" AND resource.type=\"cloud_run_job\" AND resource.labels.job_name=\"skyblend-train\" AND metric.labels.result=\"failed\""
      limit  = 0
      period = "3600s"
      sum    = true
    }
    ticks = {
      about = "The scheduler's calls fail"
      # One that failed is made good by the next.
      filter = "metric.type=\"logging.googleapis.com/user/skyblend/failed_ticks\" AND resource.type=\"cloud_scheduler_job\""
      limit  = 3
      period = "3600s"
      sum    = true
    }
  }
}

resource "google_monitoring_alert_policy" "stale" {
  for_each              = local.stale
  display_name          = "Skyblend: ${each.key} stale"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.email.id]

  conditions {
    display_name = "none in ${var.stale_hours} h"
    condition_threshold {
      filter          = "metric.type=\"logging.googleapis.com/user/skyblend/${each.key}\" AND resource.type=\"cloud_run_revision\""
      comparison      = "COMPARISON_LT"
      threshold_value = 1
      duration        = "0s"
      aggregations {
        alignment_period     = local.stale_seconds
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }
  conditions {
    display_name = "not counted for ${var.stale_hours} h"
    condition_absent {
      filter   = "metric.type=\"logging.googleapis.com/user/skyblend/${each.key}\" AND resource.type=\"cloud_run_revision\""
      duration = local.stale_seconds
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content   = "${each.value}. What to look at first: docs/deploy.md, \"When something is wrong\"."
    mime_type = "text/markdown"
  }
  depends_on = [time_sleep.metrics]
}

resource "google_monitoring_alert_policy" "too_many" {
  for_each              = local.too_many
  display_name          = "Skyblend: ${each.key}"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.email.id]

  conditions {
    display_name = "more than ${each.value.limit} in ${each.value.period}"
    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.limit
      duration        = "0s"
      aggregations {
        alignment_period     = each.value.period
        per_series_aligner   = each.value.sum ? "ALIGN_DELTA" : "ALIGN_MAX"
        cross_series_reducer = each.value.sum ? "REDUCE_SUM" : "REDUCE_MAX"
      }
    }
  }

  # An incident ends by itself a day after the last sign of it, so that the next one is told again.
  alert_strategy {
    auto_close = "86400s"
  }
  documentation {
    content   = "${each.value.about}. What to look at first: docs/deploy.md, \"When something is wrong\"."
    mime_type = "text/markdown"
  }
  depends_on = [time_sleep.metrics]
}
