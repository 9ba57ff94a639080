#!/bin/sh
# What one container does: web, worker, long, trainer, beat or migrate; anything else is run as it is.
set -eu
celery="python -m celery -A labeling"
case "${1:-web}" in
  migrate) exec python manage.py migrate --no-input ;;
  web) exec python -m granian --interface wsgi --no-ws --host 0.0.0.0 --port 8000 --workers "${WEB_WORKERS:-2}" \
    --blocking-threads 8 --workers-kill-timeout 10 --respawn-failed-workers labeling.wsgi:application ;;
  worker) exec $celery worker --queues default --hostname "worker@%h" --concurrency "${WORKERS:-2}" --loglevel info ;;
  long) exec $celery worker --queues long --hostname "long@%h" --concurrency "${LONG_WORKERS:-2}" --loglevel info ;;
  trainer)
    case "${BASE_MODEL:-}" in
      */SmolLM2-135M-Instruct) python -m training.default_model "$BASE_MODEL" ;;
    esac
    exec $celery worker --queues training --hostname "trainer@%h" --pool threads --concurrency 1 --loglevel info ;;
  beat) exec $celery beat --loglevel warning --schedule /tmp/beat-schedule --pidfile= ;;
  *) exec "$@" ;;
esac
