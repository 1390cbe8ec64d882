"""Losses as pure functions of tensors: no weight, no device, no logging. Methods write the sums."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def info_nce(
    anchor: Tensor, candidate: Tensor, *, temperature: float | Tensor, present: Tensor | None = None
) -> Tensor:
    r"""InfoNCE of paired embeddings, one direction: each anchor must find its own candidate in the batch.

    .. math:: -\frac1n \sum_i \log \frac{\exp(\mathrm{sim}(a_i, c_i)/\tau)}{\sum_j \exp(\mathrm{sim}(a_i, c_j)/\tau)}

    with sim the cosine. Row i of both inputs is one utterance; the other rows are its negatives.

    Source: van den Oord et al. 2018; as Ahn et al. 2025, eq. 5 (t, h), eq. 6 and 13 (t, W_t h + b_t), where
    the sum runs over the audio side only.

    Args:
        anchor: What asks, shape (B, D); need not be normalised.
        candidate: What is looked for, shape (B, D).
        temperature: tau, divides the cosines; positive, dimensionless.
        present: Which anchors exist, shape (B,), 0 or 1; the mean is over these (0 when there is none).
            Their candidates still serve as negatives.

    Returns:
        The mean loss in nats, shape (); log B when all candidates are equal.

    Raises:
        ValueError: If the shapes differ, B < 2, or ``temperature <= 0``.

    Example:
        >>> round(info_nce(torch.ones(4, 8), torch.ones(4, 8), temperature=0.1).exp().item(), 3)
        4.0
    """
    if anchor.shape != candidate.shape:
        raise ValueError(f"anchor {tuple(anchor.shape)} and candidate {tuple(candidate.shape)} must be equal in shape")
    if anchor.shape[0] < 2:
        raise ValueError(f"InfoNCE needs a batch of at least 2, not {anchor.shape[0]}")
    if not isinstance(temperature, Tensor) and temperature <= 0:
        raise ValueError(f"temperature must be > 0, not {temperature}")
    cosine = F.normalize(anchor, dim=-1) @ F.normalize(candidate, dim=-1).T
    loss = -torch.log_softmax(cosine / temperature, dim=-1).diagonal()
    return loss.mean() if present is None else masked_mean(loss, present)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the values where ``mask`` is 1, shape (); 0 where it is 0 everywhere.

    Args:
        values: Shape (B,).
        mask: 0 or 1, shape (B,).
    """
    mask = mask.to(values.dtype)
    return (values * mask).sum() / mask.sum().clamp(min=1)


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Cross entropy with one weight a class, as a mean weighted by the labels' weights.

    Source: Ahn et al. 2025, eq. 3 and section 4.2.3. Equal to torch's ``cross_entropy(weight=...)``; written out
    because that one does not batch over stacked rows.

    Args:
        logits: Unnormalised log-probabilities, shape (B, C).
        labels: Class indices, shape (B,).
        weights: Positive weight of each class, shape (C,).

    Returns:
        The mean loss in nats, shape ().
    """
    each = -torch.log_softmax(logits, dim=-1).gather(-1, labels[:, None])[:, 0]
    weight = weights[labels]
    return (each * weight).sum() / weight.sum()


def squared_distances(first: Tensor, second: Tensor) -> Tensor:
    """Squared Euclidean distance of every pair, shape (n, D) and (m, D) to (n, m); never below 0."""
    squares = first.square().sum(-1)[:, None] + second.square().sum(-1)[None]
    return (squares - 2 * first @ second.mT).clamp(min=0)


def gaussian_kernel(first: Tensor, second: Tensor, sigma: Tensor | float) -> Tensor:
    r"""exp(-\|x - x'\|^2 / 2 sigma^2) of every pair, shape (n, m), in (0, 1].

    Source: Liang et al. 2020 (distribution matching), eq. 4.
    """
    return torch.exp(-squared_distances(first, second) / (2 * sigma**2))


def median_distance(points: Tensor, present: Tensor | None = None) -> Tensor:
    """Median Euclidean distance over all pairs of different points: the usual rule for a Gaussian kernel's sigma.

    Nothing is learnt through it.

    Args:
        points: Shape (n, D), n at least 2.
        present: Which points count, shape (n,), 0 or 1.

    Returns:
        Shape (), in the points' unit; tiny instead of 0 where all points are equal or fewer than two count.
    """
    points = points.detach()
    row, column = torch.triu_indices(len(points), len(points), 1, device=points.device)
    squares = squared_distances(points, points)[row, column]
    if present is not None:
        both = (present[row] > 0) & (present[column] > 0)
        squares = torch.where(both, squares, torch.nan)
    return squares.nanmedian().nan_to_num(0.0).clamp(min=1e-12).sqrt()


def mmd(
    first: Tensor,
    second: Tensor,
    *,
    sigma: Tensor | float,
    present: tuple[Tensor, Tensor] | None = None,
    diagonal: bool = False,
) -> Tensor:
    r"""Squared maximum mean discrepancy of two samples under a Gaussian kernel, unbiased.

    .. math:: \frac{1}{m(m-1)} \sum_{i \ne j} k(p_i, p_j) + \frac{1}{n(n-1)} \sum_{i \ne j} k(q_i, q_j)
              - \frac{2}{mn} \sum_{i, j} k(p_i, q_j)

    It does not know which p belongs to which q: any reordering of either sample gives the same number.

    Source: Gretton et al. 2012, eq. 3; Liang et al. 2020 (distribution matching), eq. 3, where the first two sums
    as printed include i = j: ``diagonal=True``. As k(x, x) = 1 this only adds the constant 1/(m-1) + 1/(n-1).

    Args:
        first: p, shape (m, D).
        second: q, shape (n, D).
        sigma: Bandwidth, in the unit of the points; positive.
        present: Which points exist, shapes (m,) and (n,), 0 or 1.
        diagonal: Include i = j, as printed.

    Returns:
        Shape (); may be slightly below 0, as its mean is 0 for equal distributions. 0 where a sample has fewer
        than two points.
    """
    p, q = _weights(first, present and present[0]), _weights(second, present and present[1])
    m, n = p.sum(), q.sum()
    cross = torch.einsum("i,j,ij->", p, q, gaussian_kernel(first, second, sigma)) / (m * n).clamp(min=1)
    value = _within(first, p, sigma, diagonal) + _within(second, q, sigma, diagonal) - 2 * cross
    return torch.where((m > 1.5) & (n > 1.5), value, 0.0)


def _weights(points: Tensor, present: Tensor | None) -> Tensor:
    ones = torch.ones_like(points[:, 0])
    return ones if present is None else ones * present.to(points.dtype)


def _within(points: Tensor, weight: Tensor, sigma: Tensor | float, diagonal: bool) -> Tensor:
    """Mean kernel value inside one sample, over m(m - 1) pairs."""
    count, kernel = weight.sum(), gaussian_kernel(points, points, sigma)
    if not diagonal:
        kernel = kernel * (1 - torch.eye(len(points), dtype=points.dtype, device=points.device))
    return torch.einsum("i,j,ij->", weight, weight, kernel) / (count * (count - 1)).clamp(min=1)


def hsic(first: Tensor, second: Tensor, *, sigma: tuple[Tensor | float, Tensor | float], present: Tensor) -> Tensor:
    r"""Hilbert-Schmidt independence criterion of paired samples under Gaussian kernels, unbiased.

    It is the squared MMD between the pairs and the same points paired at random, under the product kernel
    k(p, p') l(q, q'): 0 when the two sides are independent, larger the better one tells the other.

    .. math:: \frac{1}{m(m-3)} \left[ \mathrm{tr}(KL) + \frac{1^T K 1 \cdot 1^T L 1}{(m-1)(m-2)}
              - \frac{2}{m-2} 1^T K L 1 \right]

    with the diagonals of K and L set to 0.

    Source: Song et al. 2012, eq. 5; as MMD of pairs, Gretton et al. 2012, section 7.3.

    Args:
        first: p, shape (m, D).
        second: q, row i is the partner of row i of ``first``, shape (m, E).
        sigma: The bandwidths of both kernels.
        present: Which pairs exist, shape (m,), 0 or 1.

    Returns:
        Shape (); 0 where there are fewer than four pairs.
    """
    weight = _weights(first, present)
    off = torch.outer(weight, weight) * (1 - torch.eye(len(weight), dtype=first.dtype, device=first.device))
    K, L = (gaussian_kernel(x, x, s) * off for x, s in zip((first, second), sigma, strict=True))
    m = weight.sum().clamp(min=4)
    value = (K * L).sum() + K.sum() * L.sum() / ((m - 1) * (m - 2)) - 2 / (m - 2) * (K.sum(0) * L.sum(0)).sum()
    return torch.where(weight.sum() > 3.5, value / (m * (m - 3)), 0.0)


def cmd(
    first: Tensor, second: Tensor, *, order: int = 5, present: tuple[Tensor, Tensor] | None = None, eps: float = 1e-12
) -> Tensor:
    r"""Central moment discrepancy: how far the means and the central moments of two samples are apart.

    .. math:: \|E(p) - E(q)\|_2 + \sum_{k=2}^K \|E((p - E p)^k) - E((q - E q)^k)\|_2

    with powers taken coordinate by coordinate. For samples in [0, 1] or [-1, 1], so that high moments stay small. It
    does not know which p belongs to which q.

    Source: Zellinger et al. 2017, eq. 2; Du et al. 2024, eq. 5, whose text calls the norm squared: it is not, here
    as there. Without the division by powers of the interval's length, which eq. 5 leaves out.

    Args:
        first: p, shape (m, D).
        second: q, shape (n, D).
        order: K, the highest moment; 1 compares the means only.
        present: Which points exist, shapes (m,) and (n,), 0 or 1.
        eps: Added under each root, whose gradient at 0 would else be infinite.

    Returns:
        Shape (); ``order * sqrt(eps)`` for equal samples. 0 where a sample has no point.

    Raises:
        ValueError: If ``order < 1``.
    """
    if order < 1:
        raise ValueError(f"the highest moment must be at least 1, not {order}")
    masks = [torch.ones_like(points[:, 0]) for points in (first, second)] if present is None else present
    shares = [mask.to(first.dtype) / mask.sum().clamp(min=1) for mask in masks]
    means = [share @ points for share, points in zip(shares, (first, second), strict=True)]
    centred = [points - mean for points, mean in zip((first, second), means, strict=True)]
    gaps = [means[0] - means[1]]
    gaps += [shares[0] @ centred[0] ** k - shares[1] @ centred[1] ** k for k in range(2, order + 1)]
    distance = (torch.stack(gaps).square().sum(-1) + eps).sqrt().sum()
    return distance * (masks[0].any() & masks[1].any())


def wasserstein2(mean: Tensor, deviation: Tensor, other_mean: Tensor, other_deviation: Tensor) -> Tensor:
    r"""Squared 2-Wasserstein distance of diagonal Gaussians, every pair.

    .. math:: \|\mu_i - \mu_j\|_2^2 + \|\sigma_i - \sigma_j\|_2^2

    Source: Sun et al. 2024 (CM-ARR), eq. 1, which writes Sigma in the second term and calls it the variance; the
    distance has standard deviations there (Dowson and Landau 1982). Given variances, this is eq. 1 as printed.

    Args:
        mean: mu of n Gaussians, shape (n, D).
        deviation: Their standard deviations, shape (n, D).
        other_mean: mu of m Gaussians, shape (m, D).
        other_deviation: Their standard deviations, shape (m, D).

    Returns:
        Shape (n, m), in the squared unit of the means; not below 0.
    """
    return squared_distances(torch.cat([mean, deviation], -1), torch.cat([other_mean, other_deviation], -1))


def matching_nce(similarity: Tensor, present: Tensor | None = None) -> Tensor:
    r"""InfoNCE from a table of similarities: each row must find the column of its own number.

    .. math:: -\frac1n \sum_i \log \frac{\exp S_{ii}}{\sum_j \exp S_{ij}}

    Source: Sun et al. 2024 (CM-ARR), eq. 3 and, of the transpose, eq. 4, with S already divided by the temperature.

    Args:
        similarity: S, shape (B, B); a constant added to it changes nothing.
        present: Which pairs are whole, shape (B,), bool; the others are neither asked for nor negatives.

    Returns:
        The mean loss in nats, shape (); 0 where no pair is whole.
    """
    if present is None:
        return -torch.log_softmax(similarity, -1).diagonal().mean()
    # An own column is always kept, so that no row is empty; rows that do not count are left out of the mean.
    asked = present[None, :] | torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    shares = torch.log_softmax(torch.where(asked, similarity, -torch.inf), -1)
    return masked_mean(-shares.diagonal(), present)


def supervised_contrastive(
    points: Tensor, labels: Tensor, instances: Tensor, *, temperature: float, present: Tensor | None = None
) -> Tensor:
    r"""Supervised contrastive loss between points of different instances.

    .. math:: \frac{1}{|I|} \sum_{i \in I} \frac{-1}{|P(i)|} \sum_{p \in P(i)}
              \log \frac{\exp(\cos(x_i, x_p)/\tau)}{\sum_{a \in A(i)} \exp(\cos(x_i, x_a)/\tau)}

    A(i) are the points of other instances, P(i) those of them with i's label, I the points that have any.

    Source: Khosla et al. 2020, eq. 2; between the modalities of different instances, Sun et al. 2024 (CM-ARR),
    section 3.3.1, which gives no formula. Points of the same instance are neither positives nor negatives.

    Args:
        points: Need not be normalised, shape (P, D).
        labels: Shape (P,).
        instances: Which instance each point is of, shape (P,).
        temperature: tau, positive, dimensionless.
        present: Which points exist, shape (P,), bool.

    Returns:
        The mean loss in nats, shape (); 0 where no point has a positive.

    Raises:
        ValueError: If ``temperature <= 0``.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be > 0, not {temperature}")
    unit = F.normalize(points, dim=-1)
    others = instances[:, None] != instances[None, :]
    if present is not None:
        others = others & present[:, None] & present[None, :]
    positives = (others & (labels[:, None] == labels[None, :])).to(points.dtype)
    similarity = torch.where(others, unit @ unit.mT / temperature, -1e9)
    shares = torch.log_softmax(similarity, -1)
    count = positives.sum(-1)
    return masked_mean(-(positives * shares).sum(-1) / count.clamp(min=1), count > 0)
