"""The cache that REDIS_URL names and the queue that CLOUDAMQP_URL names. The shop works without either of them."""

import json
import os
import sys
from collections.abc import Callable

KEY, QUEUE = "products", "orders"


def _away() -> type[Exception]:
    """What the client raises when the cache is not there, which may be at any time."""
    import redis

    return redis.RedisError


def _cache():
    import redis

    return redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=1)


def cached(read: Callable[[], list[dict]]) -> tuple[list[dict], str]:
    """What the cache holds, or what is read and then held for a minute; and `hit`, `miss`, `away` or `no cache`."""
    if "REDIS_URL" not in os.environ:
        return read(), "no cache"
    cache = _cache()
    try:
        if (found := cache.get(KEY)) is not None:
            return json.loads(found), "hit"
        products = read()
        cache.set(KEY, json.dumps(products), ex=60)
    except _away():
        return read(), "away"
    return products, "miss"


def forget() -> None:
    """Empty the cache: the products are others now. One that is away may show the old ones for a minute."""
    if "REDIS_URL" in os.environ:
        try:
            _cache().delete(KEY)
        except _away() as error:
            print(f"the cache is away: {error}", file=sys.stderr, flush=True)


class Orders:
    """The queue of orders, one connection. Messages survive a restart of the worker, not one of the queue."""

    def __init__(self) -> None:
        import pika

        self._connection = pika.BlockingConnection(pika.URLParameters(os.environ["CLOUDAMQP_URL"]))
        self._channel = self._connection.channel()
        self._channel.queue_declare(QUEUE, durable=True)

    def put(self, product: int) -> None:
        """Order one piece of a product."""
        self._channel.basic_publish("", QUEUE, json.dumps({"product": product}))
        self._connection.close()

    def each(self, take: Callable[[int], None]) -> None:
        """Hand on what waits now, each taken off once it is done; one that fails waits again."""
        while True:
            method, _, body = self._channel.basic_get(QUEUE)
            if method is None:
                return
            try:
                take(json.loads(body)["product"])
            except Exception:
                self._channel.basic_nack(method.delivery_tag)
                raise
            self._channel.basic_ack(method.delivery_tag)
