"""RedBeat with so many tasks that are due at one instant, each put on the queue `herd` (celery-redbeat 2.4.2).

Arguments: Redis URL, count, due time in ms since the Unix epoch. Says `ready` when all are there, and goes on until it is ended.
"""

import sys
from datetime import datetime, timedelta, timezone

from celery import Celery
from celery.schedules import schedule
from redbeat import RedBeatScheduler, RedBeatSchedulerEntry

url, count, due_ms = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
due = datetime.fromtimestamp(due_ms / 1000, timezone.utc)
app = Celery("herd", broker=url)
app.conf.update(redbeat_redis_url=url, task_default_queue="herd", redbeat_lock_key=None, beat_max_loop_interval=1)
daily = schedule(timedelta(days=1), app=app)
for n in range(count):
    entry = RedBeatSchedulerEntry(f"task-{n}", "neg", daily, args=[n], app=app)
    entry.last_run_at = due - timedelta(days=1)
    entry.save()
print("ready", flush=True)
app.Beat(scheduler=RedBeatScheduler, loglevel="ERROR").run()
