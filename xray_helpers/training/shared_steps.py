"""A Keras model whose steps several devices share.

Keras can train under a `tf.distribute` strategy by itself, but it divides the loss of each
device's pictures by their number: a picture counts for more on the device that has fewer, as with
5 pictures on 2 devices. So the step is written out here, and adds up exactly to that of one device:

- the loss is the sum over the batch's pictures divided by the number of all of them;
- what is added for large weights (L1, L2) is counted once;
- accuracy and the other metrics see the outputs of all devices, put together.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from xray_helpers.errors import KitError

# A batch as Keras hands it on: pictures (or features), targets and, with class weights, weights.
Batch = tuple[tf.Tensor, ...]


class SharedSteps(keras.Model):
    """A functional model that is trained and evaluated on the devices of `strategy`.

    Its weights must have been made under `strategy`, so that each device has them, and so must the
    optimizer it is compiled with. The model itself must not: Keras then leaves its batches whole.

    Attributes:
        strategy: the `tf.distribute.MirroredStrategy`; set before the first step.
    """

    strategy: tf.distribute.Strategy

    def train_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """One step of all devices; the metrics so far."""
        return self._noted(data, *self._shared(self._learn, data))

    def test_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """One batch, nothing learnt; the metrics so far."""
        return self._noted(data, *self._shared(self._look, data))

    def _shared(self, work: Callable, data: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        """Do `work(share, rows)` on each device; the outputs of all rows, and the batch's loss.

        Where there are fewer rows than devices, each takes them all (TensorFlow's convolutions
        fail on none), and each row counts as often: mean losses and statistics stay the same.
        """
        rows, devices = tf.shape(data[1])[0], self.strategy.num_replicas_in_sync
        few = rows < devices

        def share(context: tf.distribute.experimental.ValueContext) -> Batch:
            place = context.replica_id_in_sync_group
            start = tf.where(few, 0, rows * place // devices)
            end = tf.where(few, rows, rows * (place + 1) // devices)
            with tf.device("CPU:0"):  # where batches are made: each device fetches its share only
                return tf.nest.map_structure(lambda tensor: tensor[start:end], data)

        shares = self.strategy.experimental_distribute_values_from_function(share)
        counted = tf.where(few, rows * devices, rows)
        outputs, losses = self.strategy.run(work, args=(shares, counted))
        outputs = tf.concat(self.strategy.experimental_local_results(outputs), axis=0)
        return outputs[:rows], tf.add_n(self.strategy.experimental_local_results(losses))

    def _learn(self, share: Batch, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """On one device: its part of the step. The optimizer adds up the gradients of all."""
        with tf.GradientTape() as tape:
            outputs, loss = self._look(share, rows, training=True)
        weights = self.trainable_weights
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return outputs, loss

    def _look(
        self, share: Batch, rows: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """On one device: the outputs of its share, and what that adds to the batch's loss."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(share)
        outputs = self(x, training=training)
        losses = losses_of_pictures(self.loss, y, tf.cast(outputs, tf.float32))
        if weight is not None:
            losses *= tf.cast(weight, losses.dtype)
        part = tf.cast(tf.shape(y)[0], tf.float32) / tf.cast(rows, tf.float32)
        loss = tf.reduce_sum(losses) / tf.cast(rows, tf.float32) + part * self._penalty()
        return outputs, loss

    def _penalty(self) -> tf.Tensor | float:
        """What large weights add to the loss."""
        penalties = [v.regularizer(v) for v in self.trainable_weights if v.regularizer is not None]
        if len(self.losses) > len(penalties):
            raise KitError(
                "A layer of this model adds to the loss what it makes of each batch (add_loss or "
                "an activity_regularizer), which cannot be shared out; set devices = 1."
            )
        return sum(penalties, 0.0)

    def _noted(self, data: Batch, outputs: tf.Tensor, loss: tf.Tensor) -> dict[str, tf.Tensor]:
        """Count a batch in loss and metrics, which are not shared."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        self.metrics[0].update_state(loss, sample_weight=tf.shape(y)[0])  # the mean loss
        return self.compute_metrics(x, y, outputs, weight)


def losses_of_pictures(loss: str | Callable, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """The loss of each picture: (n,).

    Args:
        loss: what the model was compiled with: a name, a function or a loss of Keras's kind.
        targets, outputs: (n, …).

    Raises:
        KitError: the loss is not a mean over one number a picture.
    """
    try:
        known = keras.losses.get(loss)
    except ValueError:  # such as "crossentropy", of which only Keras's own step knows which
        raise KitError(
            f"loss={loss!r} cannot be shared out over several devices; name the loss in full "
            "(binary_crossentropy, categorical_crossentropy, …), or set devices = 1."
        ) from None
    is_mean = getattr(known, "reduction", "mean") in ("mean", "sum_over_batch_size")
    losses = getattr(known, "call", known)(targets, outputs)
    if not is_mean or losses.shape.rank != 1:
        raise KitError(
            "The loss cannot be shared out over several devices: it must give one number for each "
            "picture, of which Keras takes the mean (no reduction of your own); set devices = 1."
        )
    return losses
