"""What detectors are made of: anchors, boxes, matching, losses, suppression and their score."""
