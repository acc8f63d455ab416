# The provider's version is fixed to one minor: its arguments are checked by name in tests/test_deploy_terraform.py.
terraform {
  required_version = ">= 1.9"

  # Where the state lies is said at `terraform init` (docs/deploy.md): a bucket of its own, with versions.
  backend "gcs" {
    prefix = "skyblend"
  }

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50.0"
    }
    time = {
      source  = "hashicorp/time"
      version = "~> 0.12"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
  # Some APIs (budgets) ask which project pays for the call when a person, not a service account, makes it.
  user_project_override = true
  billing_project       = var.project
  default_labels        = { app = "skyblend" }
}

data "google_project" "this" {
  project_id = var.project
}
