"""Images with labels: scikit-learn's digits, CIFAR-10, ImageNet, and folders and tars of images.

`open_images` opens each of them by a short text. Images are in memory, or decoded when needed.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        'assemble',
        'cifar10',
        'crops',
        'digits',
        'files',
        'image_folder',
        'image_tar',
        'imagenet',
        'images',
        'kept',
        'labels',
        'open_images',
        'streamed',
        'tars',
    ],
    submod_attrs={'images': ['Dataset', 'Images'], 'streamed': ['StreamedImages']},
)
