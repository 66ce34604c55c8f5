"""The tables of DPP-Net as printed, to stand beside our own figures.

Source: DPP-Net (Dong et al., ECCV 2018), the tables of results on CIFAR-10 and on ImageNet. Figures
are texts, since the paper rounds some and truncates others; '' stands for a figure that the paper
does not print. Nothing here is computed or measured by us.
"""

import dataclasses

SOURCE = 'DPP-Net (Dong et al. 2018)'


@dataclasses.dataclass(frozen=True)
class Row:
    """One printed row.

    Attributes:
        model: its name in the paper.
        network: the same network in `nas.cells.zoo.NETWORKS`, or None if it is not there.
        error, top5_error: top-1 and top-5 test errors in percent; the second on ImageNet only.
        params, flops: counts.
        workstation, embedded, phone: seconds per image on the paper's three devices: i5-7600 with
            Titan X, Jetson TX1, Redmi Note 4 (Cortex-A53). CIFAR-10 only.
        phone_memory: megabytes on the phone.
    """

    model: str
    network: str | None = None
    error: str = ''
    top5_error: str = ''
    params: str = ''
    flops: str = ''
    workstation: str = ''
    embedded: str = ''
    phone: str = ''
    phone_memory: str = ''


def _cifar10(model, network, error, params, flops, *devices) -> Row:
    return Row(model, network, error, '', params, flops, *devices)


CIFAR10 = (
    _cifar10(
        'DenseNet-BC (k=12)', 'densenet-bc-100-12', '4.51', '0.80M', '', '', '', '0.273', '79'
    ),
    _cifar10(
        'CondenseNet-86',
        'condensenet-86',
        '5.0',
        '0.52M',
        '65.8M',
        '0.009',
        '0.090',
        '0.149',
        '113',
    ),
    _cifar10(
        'DPP-Net-PNAS', 'dpp-net-pnas', '4.36', '11.39M', '1364M', '0.013', '0.062', '0.912', '213'
    ),
    _cifar10(
        'DPP-Net-WS-A', 'dpp-net-ws-a', '4.78', '1.00M', '137M', '0.006', '0.075', '0.210', '129'
    ),
    _cifar10(
        'DPP-Net-ES-A', 'dpp-net-es-a', '4.93', '2.04M', '270M', '0.007', '0.044', '0.381', '100'
    ),
    _cifar10(
        'DPP-Net-Mobile-A',
        'dpp-net-mobile-a',
        '5.84',
        '0.45M',
        '59.27M',
        '0.008',
        '0.065',
        '0.145',
        '58',
    ),
    _cifar10(
        'DPP-Net-Panacea',
        'dpp-net-panacea',
        '4.58',
        '0.52M',
        '63.5M',
        '0.008',
        '0.083',
        '0.149',
        '104',
    ),
)

IMAGENET = (
    Row('DenseNet-121', 'densenet-121', '25.02', '7.71'),
    Row('CondenseNet-74 (G=4)', 'condensenet-74-imagenet', '26.2', '8.30', '4.8M', '529M'),
    Row('NASNet-A (mobile)', None, '26.0', '8.4', '5.3M', '564M'),
    Row('MobileNetV2', 'mobilenetv2', '28.3'),
    Row('ShuffleNet 1x (g=8)', 'shufflenet-1x-g8', '32.4', '', '', '140M'),
    Row('DPP-Net-PNAS', 'dpp-net-pnas-imagenet', '24.16', '7.13', '77.16M', '9276M'),
    Row('DPP-Net-Panacea', 'dpp-net-panacea-imagenet', '25.98', '8.21', '4.8M', '523M'),
)
