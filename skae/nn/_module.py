"""The picture of an autoencoder, with the hooks that make it sparse, denoising, contractive or variational."""

from torch import nn


class AutoencoderModule(nn.Module):
    """An autoencoder: two networks, what surrounds them, and the hooks in between.

    ::

        x -> scale -> corrupt -> encoder -> code (bottleneck) -> sample -> decoder -> unscale -> x_hat
        loss = reconstruction(x_hat, clean x) + penalty

    A variant overrides a few of the hooks (`corrupt`, `code`, `sample`, `reconstruction`, `penalty`, `after_step`) and
    nothing else. The hooks see scaled rows, of shape (n, d), and inner codes, of shape (n, k).

    Parameters
    ----------
    encoder, decoder : torch.nn.Module
        From scaled rows to encodings, (n, d) -> (n, k), and from codes to outputs, (n, k) -> (n, d).

    loss : callable
        One of `skae.nn.functional.LOSSES`.

    scaler : Scaler

    axes : CodeAxes or None
        None shows codes as they are inside.

    link : Link or None
        None takes outputs for scaled rows.
    """

    def __init__(self, encoder, decoder, loss, scaler, axes=None, link=None):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.loss = loss
        self.scaler = scaler
        self.axes = axes
        self.link = link

    # The hooks -------------------------------------------------------------------------------------------------------

    def corrupt(self, x):
        """Rows that the encoder sees in training: (n, d) -> (n, d)."""
        return x

    def code(self, encoding):
        """Code of an encoding, the same at every call: (n, k) -> (n, k)."""
        return encoding

    def sample(self, encoding):
        """Code that the decoder sees in training, a random one if the variant has it so: (n, k) -> (n, k)."""
        return self.code(encoding)

    def reconstruction(self, output, x, corrupted):  # noqa: ARG002 - denoising weighs the corrupted cells
        """Loss of each row's output against the clean row: (n,)."""
        if self.link is None:
            return self.loss(output, x)
        return self.loss(self.link(output), self.scaler.inverse(x))

    def penalty(self, x, encoding):  # noqa: ARG002 - what each is for is the variant's to say
        """Named terms that are added to the loss, each of shape (n,) or a scalar."""
        return {}

    def after_step(self, progress):
        """Called after each step of the optimiser, with the share of the training that is done, in (0, 1]."""

    # What the hooks make up ------------------------------------------------------------------------------------------

    def losses(self, x):
        """Named terms of the loss of scaled rows: {"reconstruction": (n,), ...}; the loss is the sum of their means."""
        corrupted = self.corrupt(x)
        encoding = self.encoder(corrupted)
        output = self.decoder(self.sample(encoding))
        return {"reconstruction": self.reconstruction(output, x, corrupted), **self.penalty(x, encoding)}

    def encode(self, x):
        """Data to shown codes: (n, d) -> (n, k)."""
        code = self.code(self.encoder(self.scaler(x)))
        return code if self.axes is None else self.axes(code)

    def decode(self, codes):
        """Shown codes to data: (n, k) -> (n, d)."""
        output = self.decoder(codes if self.axes is None else self.axes.inverse(codes))
        return self.scaler.inverse(output) if self.link is None else self.link.mean(output)

    def forward(self, x):
        """Reconstruct data: (n, d) -> (n, d)."""
        return self.decode(self.encode(x))


class Encoder(nn.Module):
    """The first half of an autoencoder as a module of its own, scaling included: data to codes."""

    def __init__(self, module):
        super().__init__()
        self.scaler, self.encoder, self.axes = module.scaler, module.encoder, module.axes
        self.code = module.code

    forward = AutoencoderModule.encode


class Decoder(nn.Module):
    """The second half of an autoencoder as a module of its own, scaling included: codes to data."""

    def __init__(self, module):
        super().__init__()
        self.axes, self.decoder, self.scaler, self.link = module.axes, module.decoder, module.scaler, module.link

    forward = AutoencoderModule.decode
