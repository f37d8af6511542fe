# SPDX-License-Identifier: Apache-2.0

"""Random checkpoints of the real detector and tracker classes, small enough for a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

WORDS = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, ".": 1012, "?": 1029}
NAMES = ("person", "dog", "red", "tall", "man")
IMAGE = 64


def save_detector(folder: Path, kind: str = "grounding-dino") -> Path:
    """A whole detector checkpoint with its tokenizer in `folder`."""
    torch.manual_seed(1)
    vocabulary = [f"[unused{index}]" for index in range(1030 + len(NAMES))]
    for word, index in WORDS.items():
        vocabulary[index] = word
    vocabulary[1030:] = NAMES
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    tokenizer = transformers.BertTokenizer(str(folder / "vocab.txt"))
    backbone = transformers.SwinConfig(
        image_size=IMAGE,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 1, 1],
        window_size=2,
        out_indices=[2, 3, 4],
    )
    text = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    names = {"grounding-dino": "GroundingDino", "mm-grounding-dino": "MMGroundingDino"}
    config = getattr(transformers, f"{names[kind]}Config")(
        backbone_config=backbone,
        text_config=text,
        d_model=32,
        num_queries=6,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        num_feature_levels=4,
    )
    model = getattr(transformers, f"{names[kind]}ForObjectDetection")(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"shortest_edge": IMAGE, "longest_edge": 2 * IMAGE}
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": size}))
    return folder


def save_people_detector(
    folder: Path, kind: str = "rt_detr_v2", names: tuple[str, ...] = ("dog", "person")
) -> Path:
    """A whole checkpoint of a people detector in `folder`."""
    torch.manual_seed(3)
    channels = [8, 8, 16, 16]
    if kind in ("d_fine", "deimv2"):
        backbone: Any = transformers.HGNetV2Config(
            stem_channels=[3, 8, 8],
            stage_in_channels=[8, 8, 16, 16],
            stage_mid_channels=[8, 8, 8, 8],
            stage_out_channels=[8, 16, 16, 16],
            stage_num_blocks=[1, 1, 1, 1],
            stage_downsample=[False, True, True, True],
            stage_light_block=[False, False, True, True],
            stage_kernel_size=[3, 3, 5, 5],
            stage_numb_of_layers=[1, 1, 1, 1],
            hidden_sizes=[8, 16, 16, 16],
            depths=[1, 1, 1, 1],
            out_indices=[2, 3, 4],
        )
        channels = [8, 16, 16, 16]
    else:
        backbone = transformers.RTDetrResNetConfig(
            embedding_size=8,
            hidden_sizes=channels,
            depths=[1, 1, 1, 1],
            layer_type="basic",
            out_indices=[2, 3, 4],
        )
    known = {
        "rt_detr": "RTDetr", "rt_detr_v2": "RTDetrV2", "d_fine": "DFine", "rf_detr": "RfDetr",
        "deimv2": "Deimv2", "lw_detr": "LwDetr",
    }  # fmt: skip
    labels = {
        "id2label": dict(enumerate(names)),
        "label2id": {name: index for index, name in enumerate(names)},
    }
    if kind == "rf_detr":
        config = _rf_detr(labels)
    elif kind == "lw_detr":
        config = _lw_detr(labels)
    else:
        config = getattr(transformers, f"{known[kind]}Config")(
            backbone_config=backbone,
            encoder_hidden_dim=16,
            encoder_in_channels=channels[1:],
            encoder_ffn_dim=16,
            encoder_attention_heads=2,
            d_model=16,
            decoder_in_channels=[16] * 3,
            decoder_layers=2,
            decoder_ffn_dim=16,
            decoder_attention_heads=2,
            num_queries=6,
            num_denoising=0,
            **labels,
        )
    model = getattr(transformers, f"{known[kind]}ForObjectDetection")(config)
    for name, weight in model.named_parameters():
        if "class_embed" in name or "score_head" in name:  # at first all scores are equal
            torch.nn.init.normal_(weight)
    model.save_pretrained(folder)
    size = {"height": IMAGE, "width": 2 * IMAGE}
    values = {"size": size, "do_normalize": False, "image_mean": [0.5] * 3, "resample": 2}
    kinds = {"rf_detr": "RfDetrImageProcessor", "lw_detr": "DeformableDetrImageProcessor"}
    values["image_processor_type"] = kinds.get(kind, "RTDetrImageProcessor")
    (folder / "preprocessor_config.json").write_text(json.dumps(values))
    return folder


def _rf_detr(labels: dict[str, Any]) -> Any:
    backbone = transformers.RfDetrDinov2Config(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=IMAGE,
        patch_size=16,
        num_windows=2,
        out_indices=[1, 2],
    )
    return transformers.RfDetrConfig(
        backbone_config=backbone,
        d_model=16,
        c2f_num_blocks=1,
        decoder_layers=2,
        decoder_ffn_dim=16,
        decoder_self_attention_heads=2,
        decoder_cross_attention_heads=2,
        num_queries=6,
        group_detr=1,
        **labels,
    )


def _lw_detr(labels: dict[str, Any]) -> Any:
    backbone = transformers.LwDetrViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=IMAGE,
        pretrain_image_size=IMAGE,
        patch_size=16,
        num_windows=4,
        window_block_indices=[0],
        out_indices=[1, 2],
    )
    return transformers.LwDetrConfig(
        backbone_config=backbone,
        projector_scale_factors=[1.0],
        d_model=16,
        c2f_num_blocks=1,
        decoder_layers=2,
        decoder_ffn_dim=16,
        decoder_self_attention_heads=2,
        decoder_cross_attention_heads=2,
        num_queries=6,
        group_detr=1,
        **labels,
    )


def save_tracker(folder: Path, kind: str = "sam2_video", *, timm: bool = False) -> Path:
    """A whole tracker checkpoint in `folder`; EdgeTAM with SAM 2's image tower unless `timm`."""
    torch.manual_seed(2)
    width, memory = 128, 64  # the library has the memory of 64 channels written in its layers
    backbone = transformers.Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[IMAGE, IMAGE],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 1, 1],
        window_size_per_stage=[2, 2, 2, 2],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[2, 2],
    )
    vision = transformers.Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=width,
    )
    if timm:  # the backbone of the release
        options = {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]}
        release = {
            "model_type": "timm_wrapper", "architecture": "repvit_m1", "model_args": options,
            "num_classes": 2, "label_names": ["a", "b"],
        }  # fmt: skip
        vision = transformers.EdgeTamVisionConfig(
            backbone_config=release,
            backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
            fpn_hidden_size=width,
        )
    prompt: dict[str, Any] = {"hidden_size": width, "image_size": IMAGE, "patch_size": 16}
    decoder = {"hidden_size": width, "mlp_dim": 32, "num_attention_heads": 2}
    names = {"sam2_video": "Sam2Video", "edgetam_video": "EdgeTamVideo"}
    feed_forward = (
        {"memory_attention_feed_forward_hidden_size": 32}
        if kind == "sam2_video"
        else {
            "memory_attention_mlp_hidden_size": 32,
            "memory_attention_rope_k_sizes": [2, 2],
            "perceiver_resampler_num_latents": 4,
            "perceiver_resampler_num_latents_2d": 4,
            "perceiver_resampler_hidden_size": 64,
            "perceiver_resampler_mlp_intermediate_size": 32,
            "perceiver_resampler_attention_head_dim": 64,
        }
    )
    config = getattr(transformers, f"{names[kind]}Config")(
        vision_config=vision,
        prompt_encoder_config=prompt,
        mask_decoder_config=decoder,
        image_size=IMAGE,
        memory_attention_hidden_size=width,
        memory_attention_num_layers=1,
        memory_attention_rope_feat_sizes=[4, 4],
        memory_encoder_hidden_size=width,
        memory_encoder_output_channels=memory,
        mask_downsampler_embed_dim=width,
        memory_fuser_num_layers=1,
        memory_fuser_embed_dim=width,
        memory_fuser_intermediate_dim=32,
        **feed_forward,
    )
    model = getattr(transformers, f"{names[kind]}Model")(config)
    # Random weights would not find any object.
    model.mask_decoder.pred_obj_score_head.proj_out.bias.data += 20
    model.save_pretrained(folder)
    size = {"height": IMAGE, "width": IMAGE}
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": size}))
    return folder


def save_concept_tracker(folder: Path) -> Path:
    """A whole SAM 3 checkpoint with a tokenizer of `NAMES` in `folder`."""
    torch.manual_seed(4)
    side, width = 8, 128  # the library has 128 channels of positions written in its layers
    size, patch = 14 * side, 14
    backbone = {
        "model_type": "sam3_vit_model", "hidden_size": 16, "intermediate_size": 16,
        "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": size, "patch_size": patch,
        "window_size": 4, "global_attn_indexes": [1], "pretrain_image_size": size // 2,
    }  # fmt: skip
    vision = {
        "backbone_config": backbone, "fpn_hidden_size": width,
        "backbone_feature_sizes": [[4 * side] * 2, [2 * side] * 2, [side] * 2],
    }  # fmt: skip
    text = {
        "model_type": "clip_text_model", "vocab_size": 16, "hidden_size": 16,
        "intermediate_size": 16, "projection_dim": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "max_position_embeddings": 32, "bos_token_id": 1,
        "eos_token_id": 2,
    }  # fmt: skip
    part = {
        "hidden_size": width, "intermediate_size": 16, "num_layers": 1, "num_attention_heads": 2
    }  # fmt: skip
    detector = {
        "model_type": "sam3", "vision_config": vision, "text_config": text,
        "geometry_encoder_config": part, "detr_encoder_config": part,
        "detr_decoder_config": {**part, "num_queries": 4},
        "mask_decoder_config": {"hidden_size": width, "num_attention_heads": 2},
    }  # fmt: skip
    tracker = {
        "model_type": "sam3_tracker_video", "vision_config": vision, "image_size": size,
        "prompt_encoder_config": {"hidden_size": width, "image_size": size, "patch_size": patch},
        "mask_decoder_config": {
            "hidden_size": width, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 16
        },
        "memory_attention_hidden_size": width, "memory_attention_num_layers": 1,
        "memory_attention_feed_forward_hidden_size": 16,
        "memory_attention_rope_feat_sizes": [side, side], "memory_encoder_hidden_size": width,
        "mask_downsampler_embed_dim": width, "memory_fuser_num_layers": 1,
        "memory_fuser_embed_dim": width, "memory_fuser_intermediate_dim": 16,
    }  # fmt: skip
    config = transformers.Sam3VideoConfig(
        detector_config=detector, tracker_config=tracker, low_res_mask_size=4 * side,
        score_threshold_detection=0.1, new_det_thresh=0.1, high_conf_thresh=0.1,
        high_iou_thresh=0.1, recondition_every_nth_frame=3,
    )  # fmt: skip
    model = transformers.Sam3VideoModel(config)
    # Random weights would not find any object.
    model.tracker_model.mask_decoder.pred_obj_score_head.proj_out.bias.data += 20
    model.save_pretrained(folder)
    vocabulary = {word: at for at, word in enumerate(["[PAD]", "[CLS]", "[SEP]", "[UNK]", *NAMES])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="[UNK]", pad_token="[PAD]"
    ).save_pretrained(folder)
    values = {"size": {"height": size, "width": size}, "image_mean": [0.5] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps({**values, "image_std": [0.5] * 3}))
    return folder
