# shellcheck shell=bash
# Where buildah and podman keep images: the machine's own store, or the folder IMAGE_STORE. Sourced.

# Used by the script that sources it.
# shellcheck disable=SC2034
store=()
if [ -n "${IMAGE_STORE:-}" ]; then
    store=(--root "$IMAGE_STORE/root" --runroot "$IMAGE_STORE/run" --storage-driver vfs)
fi
