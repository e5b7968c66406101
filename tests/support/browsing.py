"""What tests ask of a page in a browser."""

from __future__ import annotations

#: Every picture is there; those that wait until they are reached are called for.
ALL_SEEN = """
async () => {
  const pictures = [...document.images];
  pictures.forEach(one => { one.loading = 'eager' });
  await Promise.allSettled(pictures.map(one => one.decode()));
  return pictures.every(one => one.complete && one.naturalWidth > 0)
}
"""
