locals {
  # Table => column whose day is the partition. The schemas are made from the protos (`make protos`).
  tables = {
    forecasts    = "valid_at"
    observations = "observed_at"
    # What a training reads, a tenth of the bytes of forecasts; filled with it, in the same transactions.
    training_forecasts = "valid_at"
  }
}

resource "google_bigquery_dataset" "this" {
  dataset_id  = var.dataset
  location    = var.region
  description = "Forecasts and observations, one row for each version."
  # A data set that holds tables is not destroyed.
  delete_contents_on_destroy = false

  dynamic "default_encryption_configuration" {
    for_each = var.kms_key == null ? [] : [var.kms_key]
    content {
      kms_key_name = default_encryption_configuration.value
    }
  }

  depends_on = [time_sleep.apis, google_kms_crypto_key_iam_member.agent]
}

resource "google_bigquery_table" "this" {
  for_each            = local.tables
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = each.key
  schema              = file("${path.module}/schemas/${each.key}.json")
  clustering          = ["place_id", "source"]
  deletion_protection = var.protect
  # A query without a period would read, and cost, all years.
  require_partition_filter = true

  time_partitioning {
    type  = "DAY"
    field = each.value
  }

  lifecycle {
    # The program adds columns itself when a release knows more of them; it never removes one.
    ignore_changes = [schema]
  }
}
