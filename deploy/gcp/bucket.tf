locals {
  bucket = var.bucket == "" ? "${var.project}-skyblend" : var.bucket

  # What can be made again from raw/: its old versions are only a safety net for a bad release.
  # Never in this list: raw/ (all else is rebuilt from it, and an old version of it cannot be fetched again),
  # ledger/ (what was issued is proved by it), models/, places.json and upload_meta/ (nobody else knows them).
  rebuilt = ["records/", "processed/", "quarantine/", "uploads/"]
  # What is rewritten whole with every round of every provider, or with every issue: of it a day is enough to see what
  # went wrong, and with 1,000 places asked hourly by 5 providers each day more is 30 GB or more.
  rewritten = ["latest/", "issued/", "state/"]
}

resource "google_storage_bucket" "data" {
  name                        = local.bucket
  location                    = var.region
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  # `terraform destroy` stops at a bucket that holds something.
  force_destroy = false

  versioning {
    enabled = true
  }

  # Off by default: it would hold each old version of latest/ and issued/, which the rules below have done with, for a
  # week more, and Cloud Storage has no such rule for a part of a bucket. What nobody can make again (raw/, ledger/,
  # models/) is protected by versions that no rule deletes; only `--all-versions` takes those away.
  soft_delete_policy {
    retention_duration_seconds = var.soft_delete_days * 86400
  }

  # Raw answers are read within the hour and then only by replay. Each step costs one operation an object, and reading
  # back costs per GB (cheapest in NEARLINE): after a quarter of a year a replay is rare, after a year an exception.
  lifecycle_rule {
    action {
      type          = "SetStorageClass"
      storage_class = "NEARLINE"
    }
    condition {
      age                   = 30
      matches_prefix        = ["raw/"]
      matches_storage_class = ["STANDARD"]
    }
  }
  lifecycle_rule {
    action {
      type          = "SetStorageClass"
      storage_class = "COLDLINE"
    }
    condition {
      age                   = 90
      matches_prefix        = ["raw/"]
      matches_storage_class = ["NEARLINE"]
    }
  }
  lifecycle_rule {
    action {
      type          = "SetStorageClass"
      storage_class = "ARCHIVE"
    }
    condition {
      age                   = 365
      matches_prefix        = ["raw/"]
      matches_storage_class = ["COLDLINE"]
    }
  }

  # The only deletions: old versions, and only of what can be made again. A live object is never deleted by a rule.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 3
      with_state                 = "ARCHIVED"
      matches_prefix             = local.rebuilt
    }
  }
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 1
      with_state                 = "ARCHIVED"
      matches_prefix             = local.rewritten
    }
  }
  # An upload that broke off holds paid storage without being an object.
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]
    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [time_sleep.apis, google_kms_crypto_key_iam_member.agent]
}

# Cloud Storage's own account: it publishes that an upload is complete, and it uses the key.
data "google_storage_project_service_account" "agent" {
  depends_on = [time_sleep.apis]
}

# A file of more than 32 MiB (Cloud Run's limit for a request) goes straight to uploads/; this starts its way.
resource "google_storage_notification" "uploads" {
  bucket             = google_storage_bucket.data.name
  topic              = google_pubsub_topic.event["upload-finalized"].id
  payload_format     = "JSON_API_V1"
  event_types        = ["OBJECT_FINALIZE"]
  object_name_prefix = "uploads/"

  depends_on = [google_pubsub_topic_iam_member.publisher]
}
