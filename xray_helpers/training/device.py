"""Which processor TensorFlow computes on, and with how many threads."""

import os
from typing import Any

import tensorflow as tf

from xray_helpers.data.pictures import worker_count


def device_facts() -> dict[str, Any]:
    """GPUs by name, threads that TensorFlow may use, and the device in a word or two.

    Returns:
        `gpus` (list of names), `threads` (int), `device` ("cpu", or the first GPU's name).
    """
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(g).get("device_name", "GPU") for g in gpus]
    asked = tf.config.threading.get_intra_op_parallelism_threads()
    threads = asked or int(os.environ.get("TF_NUM_INTRAOP_THREADS", 0)) or worker_count()
    return {"gpus": names, "threads": threads, "device": names[0] if names else "cpu"}
