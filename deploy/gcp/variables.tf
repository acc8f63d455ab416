variable "project" {
  type        = string
  description = "Id of the Google Cloud project that everything is made in."
}

variable "region" {
  type        = string
  default     = "europe-west1"
  description = "Where services, bucket and data set are: together, so that nothing is paid for traffic between them."
}

variable "email" {
  type        = string
  description = "Address that alerts and budget warnings go to."
}

variable "contact" {
  type        = string
  default     = ""
  description = "Mail or web address that weather providers see in User-Agent; empty: that of the alerts."
}

variable "bucket" {
  type        = string
  default     = ""
  description = "Name of the bucket, unique in the world; empty: the project's id and -skyblend."
}

variable "dataset" {
  type        = string
  default     = "skyblend"
  description = "Data set in BigQuery."
}

variable "operators" {
  type        = set(string)
  default     = []
  description = "E-mails of people who may call the services, read the bucket and replay dead letters."
}

variable "secrets" {
  type        = map(string)
  default     = {}
  description = "Secret in Secret Manager => environment variable of ingest that takes its newest version. Values are put in by hand (docs/deploy.md) and are never in the state."
  validation {
    condition     = alltrue([for name in values(var.secrets) : can(regex("^SKYBLEND_[A-Z0-9_]+_(API)?KEY$", name))])
    error_message = "Expected variables like SKYBLEND_OPEN_METEO_APIKEY: what ends in KEY is masked in logs."
  }
}

variable "collect_schedule" {
  type        = string
  default     = "*/15 * * * *"
  description = "When ingest looks for what is due (cron, UTC)."
}

variable "traces" {
  type        = string
  default     = ""
  description = "gcp: traces go to Cloud Trace; empty: none."
  validation {
    condition     = contains(["", "gcp"], var.traces)
    error_message = "Expected gcp or nothing."
  }
}

variable "kms_key" {
  type        = string
  default     = null
  description = "Customer-managed key for bucket, topics and data set: projects/P/locations/REGION/keyRings/R/cryptoKeys/K, in the same region."
}

variable "stale_hours" {
  type        = number
  default     = 3
  description = "An alert tells when nothing was processed, or issued, for this long. Providers are asked hourly, so 3 is two missed rounds."
  validation {
    condition     = var.stale_hours >= 2 && var.stale_hours <= 23
    error_message = "Expected 2 to 23: an alert cannot look further back than a day."
  }
}

variable "soft_delete_days" {
  type        = number
  default     = 0
  description = "Days in which a deleted object, or old version, can be restored; 0: versions alone protect (bucket.tf)."
  validation {
    condition     = var.soft_delete_days == 0 || (var.soft_delete_days >= 7 && var.soft_delete_days <= 90)
    error_message = "Expected 0, or 7 to 90: what Cloud Storage takes."
  }
}

variable "train_cpu" {
  type        = string
  default     = "2"
  description = "Processors of the training; more than 8 GiB of memory need 4, more than 16 GiB 8."
}

variable "train_memory" {
  type        = string
  default     = "4Gi"
  description = "Memory of the training; it grows with places x models x days of history (train.tf)."
}

variable "query_limit_gib" {
  type        = number
  default     = 20
  description = "Largest query in BigQuery, GiB billed; above it is refused. A training reads the history of a variable in one: `skyblend train --dry-run` tells how much."
  validation {
    condition     = var.query_limit_gib >= 1 && floor(var.query_limit_gib) == var.query_limit_gib
    error_message = "Expected a whole number of GiB."
  }
}

variable "billing_account" {
  type        = string
  default     = ""
  description = "Billing account for the budget (0X0X0X-0X0X0X-0X0X0X); empty: no budget is made."
}

variable "budget" {
  type        = number
  default     = 15
  description = "Monthly budget in whole units of the billing account's currency; `skyblend cost` reckons what your places take."
}

variable "repository" {
  type        = string
  default     = ""
  description = "Connected repository for build triggers: projects/P/locations/REGION/connections/C/repositories/R; empty: builds are submitted by hand."
}

variable "branch" {
  type        = string
  default     = "^main$"
  description = "Branch whose pushes are built and deployed, as a regular expression."
}

variable "placeholder_image" {
  type        = string
  default     = "us-docker.pkg.dev/cloudrun/container/hello"
  description = "Image of the services until the first build is deployed."
}

variable "placeholder_job" {
  type        = string
  default     = "us-docker.pkg.dev/cloudrun/container/job"
  description = "Image of the job until the first build is deployed."
}

variable "protect" {
  type        = bool
  default     = true
  description = "Refuse to destroy services, job and tables; false is the first step of destroying all (docs/deploy.md)."
}
