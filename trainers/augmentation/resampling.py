"""Resizing and blurring with a filter of its own for each image: a matrix for the rows of pixels, and one for the columns."""

import torch


def resample(images: torch.Tensor, vertical: torch.Tensor, horizontal: torch.Tensor) -> torch.Tensor:
    """uint8 B×C×H×H to B×C×S×S: each line of the new image is a weighted mean of the lines of the old (float32 B×S×H)."""
    across = images.float() @ horizontal.transpose(1, 2).unsqueeze(1)
    return (vertical.unsqueeze(1) @ across).round().clamp(0, 255).to(torch.uint8)


def resizing(start: torch.Tensor, length: torch.Tensor, *, size: int, to: int) -> torch.Tensor:
    """Weights float32 B×`to`×`size` that resize `length` of `size` pixels (int64 B), from `start` on, to `to` pixels.

    Linear interpolation; where it shrinks the triangle is as much wider, which is torch's `antialias`.
    """
    scale = length.view(-1, 1, 1) / to
    centres = scale * (torch.arange(to, device=start.device).view(1, -1, 1) + 0.5)
    pixels = torch.arange(size, device=start.device).view(1, 1, -1) - start.view(-1, 1, 1)
    weights = (1 - (pixels + 0.5 - centres).abs() / scale.clamp(min=1)).clamp(min=0)
    inside = (pixels >= 0) & (pixels < length.view(-1, 1, 1))
    weights = weights * inside
    return weights / weights.sum(dim=2, keepdim=True)


def blurring(sigmas: torch.Tensor, *, size: int, radius: int) -> torch.Tensor:
    """Weights float32 B×`size`×`size` of Gaussians (standard deviations B, in pixels) cut off at `radius`.

    Beyond the edges the image is mirrored, its outermost pixel standing once.
    """
    offsets = torch.arange(-radius, radius + 1, device=sigmas.device)
    kernels = torch.softmax(-(offsets.float() ** 2) / (2 * sigmas.view(-1, 1) ** 2), dim=1)
    sources = (torch.arange(size, device=sigmas.device).view(-1, 1) + offsets).abs()
    sources = torch.where(sources >= size, 2 * (size - 1) - sources, sources)
    # taken[i, k, j]: the new pixel i takes offset k from the old pixel j
    taken = torch.nn.functional.one_hot(sources, size).to(kernels.dtype)
    return torch.einsum("bk,ikj->bij", kernels, taken)
