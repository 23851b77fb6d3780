"""The models that `benchmarks.keras_zoo` measures: how each is made without weights, and what is known of it.

Backbones are made from the classes of keras-hub, with the settings of its presets; where those are large, of fewer
blocks. The numbers expected were worked out from the layers by hand, or published.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

BY_HAND = "by hand"
PUBLISHED = "published"
ATTENTION = "attention over the whole image"
SQUEEZE = "squeeze-and-excitation"


class Recipe(NamedTuple):
    """How to make a model, and what is known of it.

    Attributes:
        make: the model without weights.
        shape: of the image, ``(height, width, channels)``; None: the model has one.
        layer: the layer measured; None: the default one.
        size: of its receptive field in pixels, alike on both axes; None: not known beforehand.
        source: where that number comes from.
        local: size of the local path in pixels, where ``size`` is infinite; None: not known beforehand.
        image: the input that is the image; None: the first one.
    """

    make: Callable[[], Any]
    shape: tuple[int, int, int] | None = None
    layer: str | None = None
    size: float | None = None
    source: str = ""
    local: float | None = None
    image: str | None = None


IMAGE = (224, 224, 3)


def _hub(name: str, **settings: Any) -> Any:
    import keras_hub

    return getattr(keras_hub.models, f"{name}Backbone")(**settings)


def _resnet(blocks: list[int], kind: str = "bottleneck_block", **settings: Any) -> Any:
    return _hub(
        "ResNet",
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=blocks,
        stackwise_num_strides=[1, 2, 2, 2],
        block_type=kind,
        **{"image_shape": IMAGE, **settings},
    )


def _resnet_vd() -> Any:
    return _hub(
        "ResNet",
        input_conv_filters=[32, 32, 64],
        input_conv_kernel_sizes=[3, 3, 3],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[2, 2, 2, 2],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block_vd",
        image_shape=IMAGE,
    )


def _vgg(repeats: list[int]) -> Any:
    return _hub("VGG", stackwise_num_repeats=repeats, stackwise_num_filters=[64, 128, 256, 512, 512], image_shape=IMAGE)


def _timm(family: str, architecture: str, **settings: Any) -> Any:
    """A backbone with the settings that keras-hub gives to a model of timm."""
    converter = import_module(f"keras_hub.src.utils.timm.convert_{family}")
    return converter.backbone_cls(**converter.convert_backbone_config({"architecture": architecture}), **settings)


def _xception() -> Any:
    return _hub(
        "Xception",
        stackwise_conv_filters=[
            [32, 64],
            [128, 128],
            [256, 256],
            [728, 728],
            *([[728] * 3] * 8),
            [728, 1024],
            [1536, 2048],
        ],
        stackwise_pooling=[False, True, True, True, *[False] * 8, True, False],
        image_shape=(299, 299, 3),
    )


def _mit(depths: list[int], shape: tuple[int, int, int] = IMAGE) -> Any:
    return _hub(
        "MiT",
        layerwise_depths=depths,
        num_layers=4,
        hidden_dims=[32, 64, 160, 256],
        layerwise_num_heads=[1, 2, 5, 8],
        layerwise_sr_ratios=[8, 4, 2, 1],
        layerwise_patch_sizes=[7, 3, 3, 3],
        layerwise_strides=[4, 2, 2, 2],
        max_drop_path_rate=0.1,
        image_shape=shape,
    )


def _segformer() -> Any:
    return _hub("SegFormer", image_encoder=_mit([2, 2, 2, 2]), projection_filters=256)


def _deeplab(rates: list[int]) -> Any:
    return _hub(
        "DeepLabV3",
        image_encoder=_resnet([3, 4, 6, 3], image_shape=(None, None, 3)),
        projection_filters=48,
        low_level_feature_key="P2",
        spatial_pyramid_pooling_key="P5",
        upsampling_size=8,
        dilation_rates=rates,
        image_shape=(512, 512, 3),
    )


def _last_of(backbone: Any) -> Any:
    """A backbone with the coarsest of its feature maps as its only output."""
    import keras

    return keras.Model(backbone.input, list(backbone.output.values())[-1])


def _hgnet(variant: str, shape: tuple[int | None, int | None, int] = IMAGE, **settings: Any) -> Any:
    from keras_hub.src.utils.timm.convert_hgnetv2 import HGNETV2_CONFIGS

    options = {"hidden_act": "relu", "use_learnable_affine_block": False, "image_shape": shape, **settings}
    return _hub("HGNetV2", **HGNETV2_CONFIGS[f"hgnetv2_{variant}"], **options)


def _retinanet() -> Any:
    return _hub(
        "RetinaNet",
        image_encoder=_resnet([3, 4, 6, 3], image_shape=(None, None, 3)),
        min_level=3,
        max_level=7,
        use_p5=False,
        image_shape=(512, 512, 3),
    )


def _d_fine() -> Any:
    """D-FINE as far as the finer map that its encoder hands to the decoder; behind that there are queries, no grids."""
    import keras

    model = _hub(
        "DFine",
        backbone=_hgnet("b0", (None, None, 3), use_learnable_affine_block=True, out_features=["stage3", "stage4"]),
        decoder_in_channels=[128, 128],
        encoder_hidden_dim=128,
        num_denoising=0,
        num_labels=80,
        hidden_dim=128,
        learn_initial_query=False,
        num_queries=300,
        anchor_image_size=(256, 256),
        feat_strides=[16, 32],
        num_feature_levels=2,
        encoder_in_channels=[512, 1024],
        encode_proj_layers=[1],
        num_attention_heads=8,
        encoder_ffn_dim=512,
        num_encoder_layers=1,
        hidden_expansion=0.34,
        depth_multiplier=0.5,
        eval_idx=-1,
        num_decoder_layers=3,
        decoder_attention_heads=8,
        decoder_ffn_dim=512,
        decoder_n_points=[6, 6],
        lqe_hidden_dim=64,
        num_lqe_layers=2,
        out_features=["stage3", "stage4"],
        image_shape=(256, 256, 3),
        seed=0,
    )
    return keras.Model(model.input, keras.tree.flatten(model.get_layer("hybrid_encoder").output)[0])


def _vit_det(size: int, window: int = 14, everywhere: tuple[int, ...] = (2, 5, 8, 11)) -> Any:
    return _hub(
        "ViTDet",
        hidden_size=96,
        num_layers=12,
        intermediate_dim=384,
        num_heads=4,
        global_attention_layer_indices=list(everywhere),
        patch_size=16,
        num_output_channels=64,
        window_size=window,
        image_shape=(size, size, 3),
    )


def _sam() -> Any:
    import keras_hub

    return _hub(
        "SAM",
        image_encoder=_vit_det(224, 7),
        prompt_encoder=keras_hub.layers.SAMPromptEncoder(
            hidden_size=64, image_embedding_size=(14, 14), input_image_size=(224, 224), mask_in_channels=16
        ),
        mask_decoder=keras_hub.layers.SAMMaskDecoder(
            num_layers=2,
            hidden_size=64,
            intermediate_dim=128,
            num_heads=8,
            embedding_dim=64,
            num_multimask_outputs=3,
            iou_head_depth=3,
            iou_head_hidden_dim=64,
        ),
    )


def _vit() -> Any:
    return _hub("ViT", image_shape=IMAGE, patch_size=16, num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768)


def _deit() -> Any:
    return _hub(
        "DeiT", image_shape=IMAGE, patch_size=16, num_layers=12, num_heads=3, hidden_dim=192, intermediate_dim=768
    )


def _swin(window: int = 7, depths: tuple[int, ...] = (2, 2, 6, 2)) -> Any:
    return _hub(
        "SwinTransformer",
        image_shape=IMAGE,
        embed_dim=96,
        depths=depths,
        num_heads=(3, 6, 12, 24),
        window_size=window,
    )


def _with_grid(backbone: Any, skipped: int) -> Any:
    """A backbone whose tokens are put back into their places, as one does for what comes behind it."""
    import keras

    tokens = backbone.output
    side = math.isqrt(tokens.shape[1] - skipped)
    if skipped:
        tokens = tokens[:, skipped:]
    return keras.Model(backbone.input, keras.layers.Reshape((side, side, tokens.shape[-1]), name="grid")(tokens))


def _dino(version: str, **settings: Any) -> Any:
    return _hub(
        version,
        num_layers=4,
        hidden_dim=192,
        num_heads=3,
        intermediate_dim=768,
        **{"image_shape": IMAGE, **settings},
    )


def _depth_anything() -> Any:
    return _hub(
        "DepthAnything",
        image_encoder=_dino("DINOV2", patch_size=14, position_embedding_shape=(518, 518)),
        reassemble_factors=[4, 2, 1, 0.5],
        neck_hidden_dims=[16, 32, 64, 128],
        fusion_hidden_dim=128,
        head_hidden_dim=16,
        head_in_index=-1,
        feature_keys=["stage1", "stage2", "stage3", "stage4"],
    )


def _clip_vision() -> Any:
    from keras_hub.src.models.clip.clip_vision_encoder import CLIPVisionEncoder

    return CLIPVisionEncoder(
        patch_size=32, hidden_dim=192, num_layers=4, num_heads=3, intermediate_dim=768, image_shape=IMAGE
    )


def _siglip_vision() -> Any:
    from keras_hub.src.models.siglip.siglip_vision_encoder import SigLIPVisionEncoder

    return SigLIPVisionEncoder(
        patch_size=16, hidden_dim=192, num_layers=4, num_heads=3, intermediate_dim=768, image_shape=IMAGE
    )


def _basnet() -> Any:
    return _hub(
        "BASNet",
        image_encoder=_resnet([3, 4, 6, 3], "basic_block", image_shape=(None, None, 3)),
        num_classes=1,
        image_shape=(288, 288, 3),
    )


def _mobilenet_v5(attention: bool) -> Any:
    from keras_hub.src.models.mobilenetv5.mobilenetv5_builder import convert_arch_def_to_stackwise

    blocks = [
        ["er_r1_k3_s2_e4_c32", "er_r1_k3_s1_e4_c32"],
        ["uir_r1_a3_k5_s2_e6_c64", "uir_r1_a5_k0_s1_e4_c64"],
        ["uir_r1_a5_k5_s2_e6_c128", "uir_r1_a5_k0_s1_e4_c128"],
    ]
    if attention:
        blocks[-1] += ["mqa_r1_k3_h4_v2_s1_d32_c128", "uir_r1_a0_k0_s1_e2_c128"]
    settings = convert_arch_def_to_stackwise(blocks)
    return _hub("MobileNetV5", **settings, use_msfa=False, image_shape=IMAGE)


def _vae_encoder() -> Any:
    import keras
    from keras_hub.src.models.vae.vae_layers import VAEEncoder

    image = keras.Input((128, 128, 3))
    encoder = VAEEncoder([32, 32, 64, 64], [2, 2, 2, 2], output_channels=8)
    return keras.Model(image, encoder(image))


def _mtcnn(name: str) -> Any:
    """A net of mtcnn with the weights of its wheel."""
    import joblib
    import mtcnn

    part = {"P": "pnet", "R": "rnet", "O": "onet"}[name]
    model = getattr(import_module(f"mtcnn.network.{part}"), f"{name}Net")()
    model.build((None, *MTCNN_SHAPES[name]))
    weights = Path(mtcnn.__file__).parent / "assets" / "weights" / f"{part}.lz4"
    model.set_weights(joblib.load(weights))
    return model


MTCNN_SHAPES = {"P": (96, 96, 3), "R": (24, 24, 3), "O": (48, 48, 3)}

INFINITE = math.inf

RECIPES: dict[str, Recipe] = {
    "ResNet18": Recipe(lambda: _resnet([2, 2, 2, 2], "basic_block"), size=435, source=BY_HAND),
    "ResNet50 (stride in 3x3)": Recipe(lambda: _resnet([3, 4, 6, 3]), size=427, source=BY_HAND),
    "ResNet50V2": Recipe(lambda: _resnet([3, 4, 6, 3], use_pre_activation=True), size=427, source=BY_HAND),
    "ResNet101": Recipe(lambda: _resnet([3, 4, 23, 3]), size=971, source=BY_HAND),
    "ResNet18-vd": Recipe(_resnet_vd),
    "VGG16": Recipe(lambda: _vgg([2, 2, 3, 3, 3]), size=212, source=PUBLISHED),
    "VGG19": Recipe(lambda: _vgg([2, 2, 4, 4, 4]), size=268, source=BY_HAND),
    "DenseNet121": Recipe(
        lambda: _hub("DenseNet", stackwise_num_repeats=[6, 12, 24, 16], image_shape=IMAGE),
        size=2071,
        source=BY_HAND,
    ),
    "Xception41-like": Recipe(_xception, size=1083, source=BY_HAND),
    "MobileNetV3Small": Recipe(
        lambda: _timm("mobilenet", "mobilenetv3_small_100", image_shape=IMAGE), size=INFINITE, source=SQUEEZE
    ),
    "MobileNetV3Large": Recipe(
        lambda: _timm("mobilenet", "mobilenetv3_large_100", image_shape=IMAGE), size=INFINITE, source=SQUEEZE
    ),
    "MobileNetV5 (convolutions)": Recipe(lambda: _mobilenet_v5(False)),
    "MobileNetV5 (attention)": Recipe(lambda: _mobilenet_v5(True), size=INFINITE, source=ATTENTION),
    "EfficientNet-B0": Recipe(
        lambda: _timm("efficientnet", "efficientnet_b0", input_shape=IMAGE), size=INFINITE, source=SQUEEZE, local=851
    ),
    "EfficientNet-Lite0": Recipe(
        lambda: _timm("efficientnet", "efficientnet_lite0", input_shape=IMAGE), size=851, source=BY_HAND
    ),
    "EfficientNet-ES": Recipe(lambda: _timm("efficientnet", "efficientnet_es", input_shape=IMAGE)),
    "EfficientNetV2-rw-t": Recipe(
        lambda: _timm("efficientnet", "efficientnet_rw_t", input_shape=IMAGE), size=INFINITE, source=SQUEEZE
    ),
    "DarkNet53": Recipe(lambda: _timm("cspnet", "darknet53", image_shape=IMAGE), size=725, source=BY_HAND),
    "CSPDarkNet53": Recipe(lambda: _timm("cspnet", "cspdarknet53", image_shape=IMAGE), size=725, source=BY_HAND),
    "CSPResNet50": Recipe(lambda: _timm("cspnet", "cspresnet50", image_shape=IMAGE)),
    "CSPResNeXt50": Recipe(lambda: _timm("cspnet", "cspresnext50", image_shape=IMAGE)),
    "HGNetV2-B0": Recipe(lambda: _last_of(_hgnet("b0"))),
    "HGNetV2-B4": Recipe(lambda: _last_of(_hgnet("b4"))),
    "HGNetV2-B6": Recipe(lambda: _last_of(_hgnet("b6"))),
    "DeepLabV3+ (ResNet50)": Recipe(lambda: _deeplab([6, 12, 18]), size=INFINITE, source="global pooling in ASPP"),
    "RetinaNet FPN (ResNet50)": Recipe(_retinanet),
    "BASNet": Recipe(_basnet, source="none"),
    "D-FINE encoder": Recipe(_d_fine, size=INFINITE, source=ATTENTION),
    "MiT-B0": Recipe(lambda: _mit([2, 2, 2, 2]), size=INFINITE, source=ATTENTION),
    "MiT-B2": Recipe(lambda: _mit([3, 4, 6, 3]), size=INFINITE, source=ATTENTION),
    "SegFormer-B0": Recipe(_segformer, size=INFINITE, source=ATTENTION),
    "ViTDet": Recipe(lambda: _vit_det(224, 7), size=INFINITE, source=ATTENTION),
    "ViTDet (windows only)": Recipe(lambda: _vit_det(224, 7, ())),
    "SAM": Recipe(_sam, size=INFINITE, source=ATTENTION, image="images"),
    "Swin-T": Recipe(_swin),
    "Swin-T (as a grid)": Recipe(lambda: _with_grid(_swin(), 0)),
    "ViT-Ti": Recipe(_vit, size=INFINITE, source=ATTENTION),
    "ViT-Ti (as a grid)": Recipe(lambda: _with_grid(_vit(), 1), size=INFINITE, source=ATTENTION),
    "DeiT-Ti": Recipe(_deit, size=INFINITE, source=ATTENTION),
    "DINOv2": Recipe(
        lambda: _dino("DINOV2", patch_size=14, position_embedding_shape=(518, 518)),
        size=INFINITE,
        source=ATTENTION,
    ),
    "DINOv3": Recipe(lambda: _dino("DINOV3", patch_size=14), size=INFINITE, source=ATTENTION),
    "Depth Anything": Recipe(_depth_anything, size=INFINITE, source=ATTENTION),
    "CLIP vision": Recipe(_clip_vision, size=INFINITE, source=ATTENTION),
    "SigLIP vision": Recipe(_siglip_vision, size=INFINITE, source=ATTENTION),
    "VAE encoder": Recipe(_vae_encoder, size=INFINITE, source="group normalisation, attention"),
    "MTCNN P-Net": Recipe(lambda: _mtcnn("P"), MTCNN_SHAPES["P"], None, 12, PUBLISHED),
    "MTCNN R-Net": Recipe(lambda: _mtcnn("R"), MTCNN_SHAPES["R"], "conv3", 17, BY_HAND),
    "MTCNN O-Net": Recipe(lambda: _mtcnn("O"), MTCNN_SHAPES["O"], "conv4", 33, BY_HAND),
}


def _tcn(padding: str) -> Any:
    import keras
    from tcn import TCN

    signal = keras.Input((2048, 1))
    layer = TCN(nb_filters=8, kernel_size=3, dilations=(1, 2, 4, 8, 16, 32), padding=padding, return_sequences=True)
    return keras.Model(signal, layer(signal))


SEQUENCES = {
    f"keras-tcn ({padding})": Recipe(lambda padding=padding: _tcn(padding), size=253, source=PUBLISHED)
    for padding in ("causal", "same")
}
