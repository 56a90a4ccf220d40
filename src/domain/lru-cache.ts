/** A bounded cache: what costs milliseconds to build is built once per process, and memory stays bounded. */

/** The cached value, or a new one from `make`; beyond `limit` entries the least recently used one is dropped. */
export function cached<K, V>(cache: Map<K, V>, limit: number, key: K, make: () => V): V {
  const found = cache.get(key);
  const value = found ?? make();
  if (found !== undefined) cache.delete(key);
  cache.set(key, value);
  if (cache.size > limit) {
    const oldest = cache.keys().next();
    if (!oldest.done) cache.delete(oldest.value);
  }
  return value;
}
