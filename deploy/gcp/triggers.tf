# Builds on push, only where a repository is connected (docs/deploy.md). What a build is made of is what it watches:
# a test reads the imports of each service and compares.
locals {
  everywhere = ["cloudbuild/Dockerfile", "cloudbuild/*.sh", ".dockerignore", "requirements/build.txt", "protos/**", "libs/runtime/**"]

  builds = {
    ingest     = concat(local.everywhere, ["cloudbuild/ingest.yaml", "requirements/ingest.*", "libs/sources/**", "libs/weather/**", "services/ingest/**"])
    preprocess = concat(local.everywhere, ["cloudbuild/preprocess.yaml", "requirements/preprocess.*", "libs/sources/**", "libs/weather/**", "services/preprocess/**"])
    predict    = concat(local.everywhere, ["cloudbuild/predict.yaml", "requirements/serve.*", "requirements/train.*", "libs/weather/**", "services/predict/**"])
  }
}

resource "google_cloudbuild_trigger" "deploy" {
  for_each        = { for name, files in local.builds : name => files if var.repository != "" }
  name            = "skyblend-${each.key}"
  location        = var.region
  description     = "Builds, tests and deploys ${each.key}"
  filename        = "cloudbuild/${each.key}.yaml"
  included_files  = each.value
  service_account = google_service_account.this["build"].id

  repository_event_config {
    repository = var.repository
    push {
      branch = var.branch
    }
  }
  substitutions = {
    _REGION = var.region
  }
}

resource "google_cloudbuild_trigger" "checks" {
  count           = var.repository == "" ? 0 : 1
  name            = "skyblend-checks"
  location        = var.region
  description     = "What a pull request must pass"
  filename        = "cloudbuild/checks.yaml"
  service_account = google_service_account.this["checks"].id

  repository_event_config {
    repository = var.repository
    pull_request {
      branch = var.branch
      # A stranger's pull request is built only after somebody of the project has said so.
      comment_control = "COMMENTS_ENABLED_FOR_EXTERNAL_CONTRIBUTORS_ONLY"
    }
  }
}
