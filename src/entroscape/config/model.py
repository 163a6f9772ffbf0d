"""Networks: what may stand under `model` in an experiment."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from entroscape.config.section import Count, Positive, Section

BoxRule = Literal["width", "first_dimension", "fan_in", "fan_out"]
Start = Literal["torch", "xavier", "normal", "nanda"]


class Shell(Section):
    """The shell of all parameter vectors of one length, in place of a box; arXiv:2505.11411, figure 2."""

    norm: Positive = Field(description="L2 norm of all parameters together")
    motion: Literal["geodesic", "rescaling"] = Field(
        "geodesic",
        description="how walkers move: along great circles, or straight on and then rescaled to the norm, as published,"
        " which samples another temperature (docs/method.md)",
    )


class _Model(Section):
    """What networks of all kinds have; `widths` means something else for each."""

    widths: Annotated[list[Count], Field(min_length=1)]
    reference_width: Count = Field(description="the width whose landscape is drawn, one of `widths`")
    box_rule: BoxRule | None = Field(
        None,
        description="parameters are confined to +- box_factor / sqrt(n): n is the width, the first dimension of the"
        " parameter's tensor, its fan in, elements / first dimension (for a bias, of the weight before it), or its fan"
        " out, elements / second dimension (a bias's length)",
    )
    box_factor: Positive | None = Field(None, description="size of the box, see box_rule")
    shell: Shell | None = Field(None, description="where parameters live, in place of the box")
    start: Start = Field(
        description="where training starts: as torch's own layers do, xavier (uniform, biases zero), or normal"
        " (linear layers with deviation 0.01 and biases zero, convolutions as torch's); nanda: as Nanda et al."
        " (arXiv:2301.05217) start a transformer, which starts in no other way"
    )

    @model_validator(mode="after")
    def _widths_usable(self) -> Self:
        if len(set(self.widths)) < len(self.widths):
            raise ValueError("widths must differ from each other")
        if self.reference_width not in self.widths:
            raise ValueError(f"reference_width must be one of widths = {self.widths}")
        return self

    @model_validator(mode="after")
    def _one_domain(self) -> Self:
        for key, value in (("box_rule", self.box_rule), ("box_factor", self.box_factor)):
            if self.shell is None and value is None:
                raise ValueError(f"{key} must be given, or shell in place of the box")
            if self.shell is not None and value is not None:
                raise ValueError(f"{key} must be left out, or null, where shell is given")
        return self


class MLPModel(_Model):
    """Fully connected ReLU network with `depth` hidden layers of equal width."""

    kind: Literal["mlp"]
    depth: Count = Field(description="number of hidden layers")
    widths: Annotated[list[Count], Field(min_length=1)] = Field(
        description="neurons per hidden layer, one variant each"
    )


class CNNModel(_Model):
    """Five 3 x 3 convolutions with ReLU, max-pool after the first, third and fifth, and a linear layer."""

    kind: Literal["cnn"]
    widths: Annotated[list[Count], Field(min_length=1)] = Field(
        description="channels of each convolution, one variant each"
    )


class ResidualModel(_Model):
    """Residual network with LayerNorm over channels: w channels, then blocks of w, 2 w, 2 w, 2 w channels."""

    kind: Literal["residual"]
    widths: Annotated[list[Count], Field(min_length=1)] = Field(
        description="channels of the first block, one variant each"
    )


class TransformerModel(_Model):
    """One-layer causal transformer without normalisations (arXiv:2505.11411, appendix A.1) that reads two tokens."""

    kind: Literal["transformer"]
    widths: Annotated[list[Count], Field(min_length=1)] = Field(
        description="width of the residual stream, d_model, one variant each; a multiple of `heads`"
    )
    heads: Count = Field(description="attention heads, each of width d_model / heads")
    mlp_ratio: Count = Field(description="neurons of the hidden layer / d_model")

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if any(width % self.heads for width in self.widths):
            raise ValueError(f"widths must be multiples of heads = {self.heads}")
        if self.start != "nanda":
            raise ValueError("start must be nanda for a transformer")
        return self


Model = Annotated[MLPModel | CNNModel | ResidualModel | TransformerModel, Field(discriminator="kind")]
