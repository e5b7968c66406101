"""Attribution: saliency and Grad-CAM from one forward and one backward pass."""
