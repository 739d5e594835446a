//! Tables for the hostile tests: which of the harmful values each field of a pod's spec accepts.

pub(super) const UP: &str = "../../../../etc/passwd";
pub(super) const THROUGH: &str = "a/../b";
pub(super) const DOTS: &str = "..";
pub(super) const EMPTY: &str = "";
pub(super) const NUL: &str = "a\0b";
pub(super) const NEWLINE: &str = "a\nb";
/// Stands for 300 characters.
pub(super) const LONG: &str = "300";
/// Stands for 70,000 characters.
pub(super) const HUGE: &str = "70000";
pub(super) const ALL: [&str; 8] = [UP, THROUGH, DOTS, EMPTY, NUL, NEWLINE, LONG, HUGE];

pub(super) fn written(value: &str) -> String {
    match value {
        LONG | HUGE => "a".repeat(value.parse().unwrap()),
        other => other.to_owned(),
    }
}

/// Free text: what a program or an image makes of it is its own affair.
pub(super) const FREE: &[&str] = &ALL;
/// Free text that must be there.
pub(super) const GIVEN: &[&str] = &[UP, THROUGH, DOTS, NUL, NEWLINE, LONG, HUGE];
/// Names, keys and choices that must be there.
pub(super) const NONE: &[&str] = &[];
/// The same where they may be left out, or have a default.
pub(super) const OPTIONAL: &[&str] = &[EMPTY];
/// Paths below something. Their characters and their length are the file system's affair, in Kubernetes as well.
pub(super) const BELOW: &[&str] = &[EMPTY, NUL, NEWLINE, LONG, HUGE];
/// The same, where they must be there.
pub(super) const BELOW_GIVEN: &[&str] = &[NUL, NEWLINE, LONG, HUGE];
/// Names of environment variables: printable, without a limit.
pub(super) const VARIABLE: &[&str] = &[UP, THROUGH, DOTS, LONG, HUGE];

/// Which of these values each text may have. The longest path that a field's path ends with is the one that counts.
pub(super) const TEXTS: &[(&str, &[&str])] = &[
    // free: commands, values, messages
    ("command[]", FREE),
    ("args[]", FREE),
    ("env[].value", FREE),
    ("workingDir", FREE),
    ("terminationMessagePath", FREE),
    ("image", GIVEN),
    ("httpGet.host", FREE),
    ("httpGet.path", FREE),
    ("httpHeaders[].value", FREE),
    ("tcpSocket.host", FREE),
    ("grpc.service", FREE),
    ("ports[].hostIP", FREE),
    ("capabilities.add[]", FREE),
    ("capabilities.drop[]", FREE),
    ("sysctls[].value", FREE),
    ("seLinuxOptions.user", FREE),
    ("seLinuxOptions.role", FREE),
    ("seLinuxOptions.type", FREE),
    ("seLinuxOptions.level", FREE),
    ("dnsConfig.options[].name", GIVEN),
    ("dnsConfig.options[].value", FREE),
    ("schedulerName", FREE),
    ("serviceAccountToken.audience", FREE),
    ("env[].valueFrom.resourceFieldRef.containerName", FREE),
    ("resourceFieldRef.containerName", GIVEN),
    // references of which Kubernetes asks only that they are there: no object has such a name, so none is found
    ("imagePullSecrets[].name", FREE),
    ("volumes[].secret.secretName", GIVEN),
    ("volumes[].configMap.name", GIVEN),
    ("sources[].secret.name", GIVEN),
    ("sources[].configMap.name", GIVEN),
    ("items[].key", GIVEN),
    ("persistentVolumeClaim.claimName", GIVEN),
    ("nfs.server", GIVEN),
    ("image.reference", GIVEN),
    ("volumeClaimTemplate.spec.volumeName", FREE),
    // paths
    ("nfs.path", NONE),
    ("items[].path", BELOW_GIVEN),
    ("serviceAccountToken.path", BELOW_GIVEN),
    ("volumeMounts[].mountPath", GIVEN),
    ("volumeMounts[].subPath", BELOW),
    ("volumeMounts[].subPathExpr", BELOW),
    ("hostPath.path", BELOW_GIVEN),
    ("hostPath.type", OPTIONAL),
    ("seccompProfile.localhostProfile", BELOW),
    // names that must be there
    ("containers[].name", NONE),
    ("initContainers[].name", NONE),
    ("volumes[].name", NONE),
    ("volumeMounts[].name", NONE),
    ("configMapKeyRef.name", NONE),
    ("configMapKeyRef.key", NONE),
    ("secretKeyRef.name", NONE),
    ("secretKeyRef.key", NONE),
    ("configMapRef.name", NONE),
    ("secretRef.name", NONE),
    ("sysctls[].name", NONE),
    ("readinessGates[].conditionType", NONE),
    ("schedulingGates[].name", NONE),
    ("env[].name", VARIABLE),
    ("envFrom[].prefix", &[UP, THROUGH, DOTS, EMPTY, LONG, HUGE]),
    ("httpHeaders[].name", &[LONG, HUGE]),
    ("port", NONE),
    ("os.name", NONE),
    // names that may be left out
    ("ports[].name", OPTIONAL),
    ("hostname", OPTIONAL),
    ("subdomain", OPTIONAL),
    ("nodeName", OPTIONAL),
    ("priorityClassName", OPTIONAL),
    ("runtimeClassName", NONE),
    // the pod to begin with has a token, which needs an account
    ("serviceAccountName", NONE),
    ("serviceAccount", OPTIONAL),
    ("hostAliases[].ip", NONE),
    ("hostnames[]", NONE),
    ("nameservers[]", NONE),
    ("searches[]", NONE),
    // claims
    ("metadata.labels{key}", NONE),
    ("metadata.labels{}", OPTIONAL),
    ("metadata.annotations{key}", NONE),
    ("metadata.annotations{}", FREE),
    ("accessModes[]", NONE),
    ("volumeClaimTemplate.spec.resources.limits{key}", FREE),
    ("storageClassName", OPTIONAL),
    ("volumeAttributesClassName", OPTIONAL),
    ("volumeMode", OPTIONAL),
    ("dataSource.apiGroup", NONE),
    ("dataSource.kind", NONE),
    ("dataSource.name", NONE),
    ("dataSourceRef.apiGroup", NONE),
    ("dataSourceRef.kind", NONE),
    ("dataSourceRef.name", NONE),
    ("dataSourceRef.namespace", OPTIONAL),
    // choices
    ("image.pullPolicy", OPTIONAL),
    ("fieldRef.apiVersion", OPTIONAL),
    ("fieldRef.fieldPath", NONE),
    ("resourceFieldRef.resource", NONE),
    ("resourceFieldRef.divisor", NONE),
    ("imagePullPolicy", OPTIONAL),
    ("ports[].protocol", OPTIONAL),
    ("httpGet.scheme", OPTIONAL),
    ("httpGet.protocol", NONE),
    ("grpc.mode", NONE),
    ("resizePolicy[].resourceName", NONE),
    ("resizePolicy[].restartPolicy", NONE),
    ("containers[].restartPolicy", NONE),
    ("initContainers[].restartPolicy", NONE),
    ("terminationMessagePolicy", OPTIONAL),
    ("mountPropagation", NONE),
    ("recursiveReadOnly", NONE),
    ("emptyDir.medium", OPTIONAL),
    ("sizeLimit", NONE),
    ("seccompProfile.type", NONE),
    ("appArmorProfile.type", NONE),
    ("procMount", NONE),
    ("fsGroupChangePolicy", NONE),
    ("seLinuxChangePolicy", NONE),
    ("supplementalGroupsPolicy", NONE),
    ("restartPolicy", OPTIONAL),
    ("dnsPolicy", OPTIONAL),
    ("preemptionPolicy", NONE),
    ("limits{key}", NONE),
    ("limits{}", NONE),
    ("requests{key}", NONE),
    ("requests{}", NONE),
    // labels and what selects them
    ("nodeSelector{key}", NONE),
    ("nodeSelector{}", OPTIONAL),
    ("matchLabels{key}", NONE),
    ("matchLabels{}", OPTIONAL),
    ("matchExpressions[].key", NONE),
    ("matchExpressions[].operator", NONE),
    ("matchExpressions[].values[]", OPTIONAL),
    // a preference may be for what no label has
    ("preference.matchExpressions[].values[]", FREE),
    ("matchFields[].key", NONE),
    ("matchFields[].operator", NONE),
    ("matchFields[].values[]", NONE),
    ("matchLabelKeys[]", NONE),
    ("mismatchLabelKeys[]", NONE),
    ("namespaces[]", NONE),
    ("topologyKey", NONE),
    ("topologySpreadConstraints[].topologyKey", GIVEN),
    ("whenUnsatisfiable", NONE),
    ("nodeAffinityPolicy", NONE),
    ("nodeTaintsPolicy", NONE),
    ("tolerations[].key", NONE),
    ("tolerations[].operator", OPTIONAL),
    ("tolerations[].value", OPTIONAL),
    ("tolerations[].effect", NONE),
];

/// What is refused as a whole, whatever is in it: texts and numbers there are never read.
pub(super) const REFUSED: &[&str] = &[
    "ephemeralContainers[]",
    "evictionResponders[]",
    "hostnameOverride",
    "overhead",
    "resourceClaims[]",
    "resources",
    "schedulingGroup",
    "appArmorProfile.localhostProfile",
    "windowsOptions",
    "restartPolicyRules[]",
    "resources.claims[]",
    "volumeDevices[]",
    "bindMountOptions[]",
    "readinessProbe.terminationGracePeriodSeconds",
    "fileKeyRef",
    "stopSignal",
    "emptyDir.mode",
    "items[].user",
    "serviceAccountToken.user",
    "defaultUser",
    "clusterTrustBundle",
    "podCertificate",
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "csi",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "iscsi",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
    "volumeClaimTemplate.metadata.creationTimestamp",
    "volumeClaimTemplate.metadata.deletionTimestamp",
    "volumeClaimTemplate.metadata.deletionGracePeriodSeconds",
    "volumeClaimTemplate.metadata.finalizers[]",
    "volumeClaimTemplate.metadata.generateName",
    "volumeClaimTemplate.metadata.generation",
    "volumeClaimTemplate.metadata.managedFields[]",
    "volumeClaimTemplate.metadata.name",
    "volumeClaimTemplate.metadata.namespace",
    "volumeClaimTemplate.metadata.ownerReferences[]",
    "volumeClaimTemplate.metadata.resourceVersion",
    "volumeClaimTemplate.metadata.selfLink",
    "volumeClaimTemplate.metadata.uid",
];
/// How such a refusal ends.
pub(super) const REFUSALS: [&str; 5] = [
    "not supported by this version",
    "cannot be set on create",
    "dynamic resource allocation is not supported",
    "must not be set for readinessProbes",
    "cannot be set for an ephemeral volume",
];

/// `-1`, `0`, the most that fits into 32 bits and one more, and both ends of 64 bits.
pub(super) const NUMBERS: [i64; 6] = [-1, 0, i32::MAX as i64, i32::MAX as i64 + 1, i64::MAX, i64::MIN];
pub(super) const SMALL: i64 = i32::MAX as i64;
/// Any number that the schema lets pass.
pub(super) const ANY: &[i64] = &[-1, 0, SMALL];
pub(super) const ANY_64: &[i64] = &NUMBERS;
/// Users and groups.
pub(super) const IDS: &[i64] = &[0, SMALL];
/// Numbers of 32 bits that count or wait.
pub(super) const COUNTS: &[i64] = &[0, SMALL];
pub(super) const NO_NUMBER: &[i64] = &[];

/// Which of these values each number may have, as with texts.
pub(super) const INTEGERS: &[(&str, &[i64])] = &[
    ("runAsUser", IDS),
    ("runAsGroup", IDS),
    ("fsGroup", IDS),
    ("supplementalGroups[]", IDS),
    ("activeDeadlineSeconds", &[SMALL]),
    // a negative one of a pod is 1; 0 is too little for the hooks of the pod to begin with
    ("terminationGracePeriodSeconds", &[-1, SMALL, SMALL + 1, i64::MAX, i64::MIN]),
    ("Probe.terminationGracePeriodSeconds", &[SMALL, SMALL + 1, i64::MAX]),
    ("sleep.seconds", &[0]),
    ("initialDelaySeconds", COUNTS),
    ("timeoutSeconds", COUNTS),
    ("periodSeconds", COUNTS),
    ("failureThreshold", COUNTS),
    // 0 is left out, and then 1
    ("livenessProbe.successThreshold", &[0]),
    ("startupProbe.successThreshold", &[0]),
    ("readinessProbe.successThreshold", COUNTS),
    ("grpc.port", NO_NUMBER),
    ("containerPort", NO_NUMBER),
    ("hostPort", &[0]),
    ("priority", ANY),
    ("tolerationSeconds", ANY_64),
    ("weight", NO_NUMBER),
    ("maxSkew", &[SMALL]),
    ("minDomains", &[SMALL]),
    ("defaultMode", &[0]),
    ("items[].mode", &[0]),
    ("expirationSeconds", &[SMALL, SMALL + 1]),
];
