locals {
  prefix = "skyblend-"

  # Event => service that answers, and path. The paths are ROUTES of skyblend.runtime.bus; a test compares.
  events = {
    raw-stored       = { service = "preprocess", path = "/v1/events/raw-stored" }
    records-ready    = { service = "serve", path = "/v1/events/records-ready" }
    model-promoted   = { service = "serve", path = "/v1/events/model-promoted" }
    collect-task     = { service = "ingest", path = "/v1/events/collect-task" }
    upload-finalized = { service = "ingest", path = "/v1/events/upload-finalized" }
  }
}

resource "google_pubsub_topic" "event" {
  for_each     = local.events
  name         = "${local.prefix}${each.key}"
  kms_key_name = var.kms_key

  depends_on = [time_sleep.apis, google_kms_crypto_key_iam_member.agent]
}

resource "google_pubsub_subscription" "event" {
  for_each = local.events
  name     = "${local.prefix}${each.key}"
  topic    = google_pubsub_topic.event[each.key].id

  push_config {
    push_endpoint = "${local.urls[each.value.service]}${each.value.path}"
    oidc_token {
      service_account_email = google_service_account.this["push"].email
      audience              = local.urls[each.value.service]
    }
  }

  # Pub/Sub's longest. Every service gives up a request before it (request_seconds in services.tf, at most 570), so a
  # message is never delivered a second time while the first delivery still works on it.
  ack_deadline_seconds = 600
  # A message outlives a long week-end; what is refused is a dead letter long before.
  message_retention_duration = "604800s"

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = 5
  }
  # Never: by default a subscription without traffic for 31 days is deleted, and with it what comes next.
  expiration_policy {
    ttl = ""
  }

  depends_on = [google_pubsub_topic_iam_member.dead_letters, google_service_account_iam_member.push_token]
}

resource "google_pubsub_topic" "dead_letters" {
  name         = "${local.prefix}dead-letters"
  kms_key_name = var.kms_key

  depends_on = [time_sleep.apis, google_kms_crypto_key_iam_member.agent]
}

# Without it a dead letter would be thrown away. Pulled by `skyblend dead-letters`.
resource "google_pubsub_subscription" "dead_letters" {
  name  = "${local.prefix}dead-letters"
  topic = google_pubsub_topic.dead_letters.id

  # Pub/Sub's longest: a month to look at what went wrong. Raw objects stay, so even later a replay repairs.
  message_retention_duration = "2678400s"
  # The command holds a letter while it publishes it again, and lets go of what it only lists.
  ack_deadline_seconds = 60
  expiration_policy {
    ttl = ""
  }
}

# Who may publish what: each only the events that its code publishes.
locals {
  publishers = {
    ingest-raw-stored        = { member = local.members["ingest"], topic = "raw-stored" }
    ingest-collect-task      = { member = local.members["ingest"], topic = "collect-task" }
    preprocess-records-ready = { member = local.members["preprocess"], topic = "records-ready" }
    train-model-promoted     = { member = local.members["train"], topic = "model-promoted" }
    storage-upload-finalized = { member = local.members["storage-agent"], topic = "upload-finalized" }
  }
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = local.publishers
  topic    = google_pubsub_topic.event[each.value.topic].name
  role     = "roles/pubsub.publisher"
  member   = each.value.member
}

# Pub/Sub itself moves a message to the dead letters: it publishes there and takes it from the subscription.
resource "google_pubsub_topic_iam_member" "dead_letters" {
  topic  = google_pubsub_topic.dead_letters.name
  role   = "roles/pubsub.publisher"
  member = local.members["pubsub-agent"]
}

resource "google_pubsub_subscription_iam_member" "dead_letters" {
  for_each     = local.events
  subscription = google_pubsub_subscription.event[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.members["pubsub-agent"]
}
