"""rq-scheduler with so many jobs that are due at one instant, each put on the queue `herd` (rq-scheduler 0.14.0).

Arguments: Redis URL, count, due time in ms since the Unix epoch. Says `ready` when all are there, and goes on until it is ended.
"""

import sys
from datetime import datetime, timezone

from redis import Redis
from rq_scheduler import Scheduler

url, count, due_ms = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
due = datetime.fromtimestamp(due_ms / 1000, timezone.utc).replace(tzinfo=None)
scheduler = Scheduler(queue_name="herd", connection=Redis.from_url(url), interval=1)
for n in range(count):
    scheduler.enqueue_at(due, "operator.neg", n)
print("ready", flush=True)
scheduler.run()
