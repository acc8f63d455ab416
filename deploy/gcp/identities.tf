# One account for each that acts; docs/deploy.md says who may do what and why, and a test compares.
locals {
  accounts = {
    ingest     = "Runs ingest: fetches, stores raw, announces"
    preprocess = "Runs preprocess: decodes, writes records, loads tables"
    serve      = "Runs serve: issues and answers forecasts"
    train      = "Runs the training job"
    push       = "Identity of Pub/Sub's pushes"
    scheduler  = "Identity of the scheduler's calls"
    build      = "Builds, pushes and deploys images"
    upload     = "Signs URLs that take one file into uploads/"
    checks     = "Runs the checks of pull requests: code of strangers"
  }

  members = merge(
    { for name, account in google_service_account.this : name => "serviceAccount:${account.email}" },
    {
      pubsub-agent   = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
      storage-agent  = "serviceAccount:${data.google_storage_project_service_account.agent.email_address}"
      bigquery-agent = "serviceAccount:${data.google_bigquery_default_service_account.agent.email}"
    },
  )
  operators = toset([for email in var.operators : "user:${email}"])
}

resource "google_service_account" "this" {
  for_each     = local.accounts
  account_id   = "skyblend-${each.key}"
  display_name = each.value
  depends_on   = [time_sleep.apis]
}

# The bucket. All four read all of it: listing can be allowed for a whole bucket only, and without the right to list an
# absent object answers 403 instead of 404. Each writes only below its own names.
locals {
  writes = {
    # processed/ since a file that is uploaded again is processed again, quarantine/ for one that is refused. The role may delete too: Cloud Storage asks for
    # that right when an object of the name is there, and a repeated tick must hear "exists", not "forbidden".
    ingest     = ["raw/", "upload_meta/", "uploads/", "state/", "processed/", "quarantine/", "places.json"]
    preprocess = ["records/", "processed/", "quarantine/", "latest/", "state/", "places.json"]
    serve      = ["issued/", "ledger/", "latest/"] # latest/ to remove what nobody needs
    train      = ["models/", "skill.json"]
  }
  objects = "projects/_/buckets/${local.bucket}/objects/"
}

resource "google_storage_bucket_iam_member" "reads" {
  for_each = local.writes
  bucket   = google_storage_bucket.data.name
  role     = "roles/storage.objectViewer"
  member   = local.members[each.key]
}

resource "google_storage_bucket_iam_member" "writes" {
  for_each = local.writes
  bucket   = google_storage_bucket.data.name
  role     = "roles/storage.objectUser"
  member   = local.members[each.key]
  condition {
    title       = "only its own names"
    description = join(", ", each.value)
    expression  = join(" || ", [for name in each.value : "resource.name.startsWith('${local.objects}${name}')"])
  }
}

# The tables.
locals {
  table_roles = {
    preprocess = "roles/bigquery.dataEditor"
    train      = "roles/bigquery.dataViewer"
  }
}

resource "google_bigquery_dataset_iam_member" "tables" {
  for_each   = local.table_roles
  dataset_id = google_bigquery_dataset.this.dataset_id
  role       = each.value
  member     = local.members[each.key]
}

resource "google_project_iam_member" "queries" {
  for_each = local.table_roles
  project  = var.project
  role     = "roles/bigquery.jobUser"
  member   = local.members[each.key]
}

# Results are read as Arrow through BigQuery's storage API.
resource "google_project_iam_member" "reads_results" {
  for_each = local.table_roles
  project  = var.project
  role     = "roles/bigquery.readSessionUser"
  member   = local.members[each.key]
}

# Traces, only where they are sent.
resource "google_project_iam_member" "traces" {
  for_each = { for name, prefixes in local.writes : name => prefixes if var.traces != "" }
  project  = var.project
  role     = "roles/telemetry.tracesWriter"
  member   = local.members[each.key]
}

# Who may call. Nobody else can: no service allows callers without an identity.
resource "google_cloud_run_v2_service_iam_member" "push" {
  for_each = local.services
  name     = google_cloud_run_v2_service.this[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = local.members["push"]
}

resource "google_cloud_run_v2_service_iam_member" "scheduler" {
  for_each = local.services
  name     = google_cloud_run_v2_service.this[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = local.members["scheduler"]
}

resource "google_cloud_run_v2_job_iam_member" "scheduler" {
  name     = google_cloud_run_v2_job.train.name
  location = var.region
  role     = "roles/run.invoker"
  member   = local.members["scheduler"]
}

# Pub/Sub makes the tokens of the push account.
resource "google_service_account_iam_member" "push_token" {
  service_account_id = google_service_account.this["push"].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.members["pubsub-agent"]
}

# The build: writes images, replaces the image of what is there, asks the new revision whether it is well.
locals {
  runs_as = toset(["ingest", "preprocess", "serve", "train"])
}

resource "google_artifact_registry_repository_iam_member" "build" {
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = local.members["build"]
}

resource "google_storage_bucket_iam_member" "build" {
  bucket = google_storage_bucket.builds.name
  role   = "roles/storage.objectViewer"
  member = local.members["build"]
}

# Pull requests bring code of strangers: their account can write its log and nothing else.
locals {
  builders = toset(["build", "checks"])
}

resource "google_project_iam_member" "build_logs" {
  for_each = local.builders
  project  = var.project
  role     = "roles/logging.logWriter"
  member   = local.members[each.key]
}

resource "google_cloud_run_v2_service_iam_member" "build" {
  for_each = local.services
  name     = google_cloud_run_v2_service.this[each.key].name
  location = var.region
  role     = "roles/run.developer"
  member   = local.members["build"]
}

resource "google_cloud_run_v2_service_iam_member" "smoke" {
  for_each = local.services
  name     = google_cloud_run_v2_service.this[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = local.members["build"]
}

# The smoke test shows an identity token of the build's own account, which gcloud has made for it.
resource "google_service_account_iam_member" "build_token" {
  service_account_id = google_service_account.this["build"].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.members["build"]
}

resource "google_cloud_run_v2_job_iam_member" "build" {
  name     = google_cloud_run_v2_job.train.name
  location = var.region
  role     = "roles/run.developer"
  member   = local.members["build"]
}

resource "google_service_account_iam_member" "build_runs_as" {
  for_each           = local.runs_as
  service_account_id = google_service_account.this[each.key].name
  role               = "roles/iam.serviceAccountUser"
  member             = local.members["build"]
}

# Secrets: only the service that talks to providers.
resource "google_secret_manager_secret_iam_member" "ingest" {
  for_each  = var.secrets
  secret_id = google_secret_manager_secret.key[each.key].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = local.members["ingest"]
}

# Operators: people named in var.operators.
locals {
  operators_call = { for pair in setproduct(local.operators, keys(local.services)) : "${pair[1]} ${pair[0]}" => { member = pair[0], service = pair[1] } }
  operators_send = { for pair in setproduct(local.operators, keys(local.events)) : "${pair[1]} ${pair[0]}" => { member = pair[0], event = pair[1] } }
}

resource "google_cloud_run_v2_service_iam_member" "operators" {
  for_each = local.operators_call
  name     = google_cloud_run_v2_service.this[each.value.service].name
  location = var.region
  role     = "roles/run.invoker"
  member   = each.value.member
}

resource "google_storage_bucket_iam_member" "operators" {
  for_each = local.operators
  bucket   = google_storage_bucket.data.name
  role     = "roles/storage.objectViewer"
  member   = each.value
}

# A large file comes straight into the bucket: from an operator, or from whoever was given a URL, which is signed with
# the account `upload`. It may do nothing else, so a URL that gets about opens nothing else.
locals {
  uploaders = toset(["upload"])
}

resource "google_storage_bucket_iam_member" "uploads" {
  for_each = local.uploaders
  bucket   = google_storage_bucket.data.name
  role     = "roles/storage.objectCreator"
  member   = local.members[each.key]
  condition {
    title      = "only uploads"
    expression = "resource.name.startsWith('${local.objects}uploads/')"
  }
}

resource "google_service_account_iam_member" "operators_sign" {
  for_each           = local.operators
  service_account_id = google_service_account.this["upload"].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.value
}

resource "google_storage_bucket_iam_member" "operators_upload" {
  for_each = local.operators
  bucket   = google_storage_bucket.data.name
  role     = "roles/storage.objectCreator"
  member   = each.value
  condition {
    title      = "only uploads"
    expression = "resource.name.startsWith('${local.objects}uploads/')"
  }
}

# `skyblend dead-letters`: take them from their subscription, publish them again.
resource "google_pubsub_subscription_iam_member" "operators" {
  for_each     = local.operators
  subscription = google_pubsub_subscription.dead_letters.name
  role         = "roles/pubsub.subscriber"
  member       = each.value
}

resource "google_pubsub_topic_iam_member" "operators" {
  for_each = local.operators_send
  topic    = google_pubsub_topic.event[each.value.event].name
  role     = "roles/pubsub.publisher"
  member   = each.value.member
}

# The agents that encrypt with the customer's key.
data "google_bigquery_default_service_account" "agent" {
  depends_on = [time_sleep.apis]
}

locals {
  key_users = toset(["storage-agent", "pubsub-agent", "bigquery-agent"])
}

resource "google_kms_crypto_key_iam_member" "agent" {
  for_each      = var.kms_key == null ? toset([]) : local.key_users
  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = local.members[each.key]
}
