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
    SKYBLEND_QUERY_LIMIT  = format("%d", var.query_limit_gib * 1073741824)
    SKYBLEND_CALLERS      = join(",", local.callers)
  }
  traced = { for name, value in { SKYBLEND_TRACES = var.traces } : name => value if value != "" }

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
      # Decodes and writes Parquet, which is Python and NumPy in one thread at a time.
      cpu = "1"
      # Arrow and NumPy take 200 MB, an archive of bulletins in the works 160 MB more, 4 at a time; and /tmp, where a
      # member is unpacked, is memory too.
      memory = "2Gi"
      # While one waits for the bucket another computes; the server has two threads more, for the probes.
      concurrency   = 4
      min_instances = 0
      # A request that finds no room for some seconds is refused, and that is one of the five attempts of its message. So
      # there is room for 80: a thousand new places bring two thousand back-fills within minutes.
      max_instances = 20
      # A collect task is processed in seconds, a large archive in minutes. Below the 600 s of the ack deadline.
      request_seconds = 570
      env             = { THREADS = "6" }
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
      # An issue with each raw object is one a place and provider each hour: a write, four reads and 45 kB of the ledger
      # that is kept for ever, most of a month's bill. By the clock it is one, after the round of the full hour; what
      # arrives later than that is in the next one.
      env     = { SKYBLEND_ISSUE_ON = "clock" }
      secrets = {}
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
  # The audience that pushes and ticks name; Cloud Run knows its other address by itself.
  custom_audiences = [local.urls[each.key]]

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
        period_seconds    = 3
        timeout_seconds   = 2
        failure_threshold = 20
        http_get {
          path = "/ready"
        }
      }
      # A server that answers nothing for five minutes is started anew. Not sooner: after a training all threads of
      # serve may issue a thousand places, minutes in which nothing else is answered, and a start would begin it again.
      # /ready is not asked here: a bucket in trouble is no reason to start anew.
      liveness_probe {
        period_seconds    = 60
        timeout_seconds   = 5
        failure_threshold = 5
        http_get {
          path = "/health"
        }
      }

      # iam: Cloud Run checks a token's signature and who may come in, and hands it on without the signature; the
      # service checks audience, expiry and e-mail of what is left, and that it is on Cloud Run.
      dynamic "env" {
        for_each = merge(local.env, local.traced, each.value.env, {
          SKYBLEND_AUTH     = "iam"
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
