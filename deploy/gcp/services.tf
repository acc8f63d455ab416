locals {
  # The address that Cloud Run makes from name, project and region: known before the service is there, so a service can
  # be told its own audience.
  urls = { for name in keys(local.services) : name => "https://skyblend-${name}-${data.google_project.this.number}.${var.region}.run.app" }

  # `gcloud auth print-identity-token` of a person names gcloud itself as the audience.
  gcloud = "32555940559.apps.googleusercontent.com"

  callers = concat(
    [google_service_account.this["push"].email, google_service_account.this["scheduler"].email],
    sort(tolist(var.operators)),
  )

  # What every service and the job are told; the names are the settings of skyblend.runtime.settings.
  env = {
    SKYBLEND_STORAGE      = "gcs"
    SKYBLEND_BUS          = "pubsub"
    SKYBLEND_TABLES       = "bigquery"
    SKYBLEND_PROJECT      = var.project
    SKYBLEND_BUCKET       = local.bucket
    SKYBLEND_DATASET      = var.dataset
    SKYBLEND_LOCATION     = var.region
    SKYBLEND_TOPIC_PREFIX = local.prefix
    SKYBLEND_CALLERS      = join(",", local.callers)
    SKYBLEND_TRACES       = var.traces
  }

  services = {
    ingest = {
      # Waits for providers nearly all the time; one processor fetches from all of them.
      cpu = "1"
      # Answers are at most 64 MiB each (SKYBLEND_ANSWER_LIMIT), 4 of a source at a time, typically below 1 MiB;
      # an upload is streamed.
      memory = "512Mi"
      # A tick and a few collect tasks or uploads beside each other; the server has two threads more, for the probes.
      concurrency = 8
      # No instance between ticks: nobody waits for a tick, and a start costs a second.
      min_instances = 0
      # With fan-out, 8 x 10 collect tasks at a time: more calls than free quotas of any provider allow.
      max_instances = 10
      # A tick gives no source a further call after 45 s, a call takes at most 30 s, so 2 minutes is its worst; the copy
      # of a large upload (2 GiB at 20 MB/s) takes 2 minutes. Below the 600 s of Pub/Sub's ack deadline.
      request_seconds = 540
      env = {
        THREADS          = "10"
        SKYBLEND_CONTACT = coalesce(var.contact, var.email)
        # A tick does up to 20 tasks itself (2,000 answers); more go over the bus and are spread over instances.
        SKYBLEND_FAN_OUT = "20"
      }
      secrets = var.secrets
    }
    preprocess = {
      # Decodes and writes Parquet: as much processor as a thread can use, and one for the bucket's connections.
      cpu = "1"
      # Arrow and NumPy take 200 MB, a block of rows in the works 300 MB, and /tmp, where a member of an archive is
      # unpacked, is memory too.
      memory = "2Gi"
      # One message at a time: memory has a known bound, and more work means more instances. The server has threads
      # besides, so that a probe is answered while an archive is read for minutes.
      concurrency   = 1
      min_instances = 0
      # Twenty raw objects arrive in the same minute of an hour (1,000 places, 50 an answer): 10 instances take them in
      # seconds. More would only meet at the same latest/ objects.
      max_instances = 10
      # A collect task is processed in seconds, a large archive in minutes. Below the 600 s of the ack deadline.
      request_seconds = 570
      env             = { THREADS = "3" }
      secrets         = {}
    }
    serve = {
      cpu = "1"
      # NumPy, the linear models and prepared answers of 1,000 places: 200 MB.
      memory = "512Mi"
      # Granian answers with 4 threads, a prepared answer in under a millisecond; above 40 waiting requests another
      # instance is quicker than the queue.
      concurrency = 40
      # A start takes a second, and nobody waits who is not there. Set 1 where the first answer of the day matters.
      min_instances = 0
      # One instance answers more than a thousand forecasts a second; the rest is for a rough day, and a bound on cost.
      max_instances = 4
      # The longest is to issue every place after a model was promoted. Below the 600 s of the ack deadline.
      request_seconds = 540
      env             = {}
      secrets         = {}
    }
  }
}

resource "google_cloud_run_v2_service" "this" {
  for_each            = local.services
  name                = "skyblend-${each.key}"
  location            = var.region
  deletion_protection = var.protect
  # Pub/Sub and Cloud Scheduler come from outside of any network of the project, and so do people; who may enter is
  # decided by identity (identities.tf), and nobody without one is let in.
  ingress              = "INGRESS_TRAFFIC_ALL"
  invoker_iam_disabled = false

  template {
    service_account                  = google_service_account.this[each.key].email
    timeout                          = "${each.value.request_seconds}s"
    max_instance_request_concurrency = each.value.concurrency
    # A full Linux kernel: quicker file access and system calls than the first generation, which only starts faster.
    execution_environment = "EXECUTION_ENVIRONMENT_GEN2"

    scaling {
      min_instance_count = each.value.min_instances
      max_instance_count = each.value.max_instances
    }

    containers {
      image = var.placeholder_image

      resources {
        limits = {
          cpu    = each.value.cpu
          memory = each.value.memory
        }
        # Paid only while a request runs; no service has work without one.
        cpu_idle = true
        # Imports are most of a start, and twice the processor halves them.
        startup_cpu_boost = true
      }

      # A revision whose settings are wrong, or whose account cannot read the bucket, fails its deployment instead of
      # taking traffic. A first answer takes a few seconds of processor time; 60 s is a start that hangs.
      startup_probe {
        period_seconds    = 2
        timeout_seconds   = 2
        failure_threshold = 30
        http_get {
          path = "/ready"
        }
      }
      # A server that answers nothing for a minute and a half is started anew; not sooner, since all its threads may be
      # busy with long messages. /ready is not asked here: a bucket in trouble is no reason to start anew.
      liveness_probe {
        period_seconds    = 30
        timeout_seconds   = 5
        failure_threshold = 3
        http_get {
          path = "/health"
        }
      }

      dynamic "env" {
        for_each = merge(local.env, each.value.env, {
          SKYBLEND_AUTH     = var.auth
          SKYBLEND_AUDIENCE = join(",", [local.urls[each.key], local.gcloud])
        })
        content {
          name  = env.key
          value = env.value
        }
      }
      dynamic "env" {
        for_each = each.value.secrets
        content {
          name = env.value
          value_source {
            secret_key_ref {
              secret = google_secret_manager_secret.key[env.key].secret_id
              # Read at the start of an instance: a new version counts from the next revision on.
              version = "latest"
            }
          }
        }
      }
    }
  }

  lifecycle {
    # Cloud Build deploys images by digest and moves traffic from revision to revision.
    ignore_changes = [template[0].containers[0].image, template[0].revision, template[0].labels, traffic, client, client_version]
  }

  depends_on = [
    google_secret_manager_secret_iam_member.ingest,
    google_storage_bucket_iam_member.reads,
    google_storage_bucket_iam_member.writes,
  ]
}
