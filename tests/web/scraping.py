"""What a Prometheus on this machine sees of a service."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families
from tests.patience import PATIENCE_S


def scraped(port: int) -> dict[str, float]:
    """Each sample by its name and the values of its labels."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S
    ) as answer:
        text = answer.read().decode()
    return {
        sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
