### Las palabras de Azud en español. Mismas claves y variables que locales/en/azud.ftl.

## Forma de los errores

error-label-what = error:
error-label-why = causa:
error-label-hint = remedio:
error-label-code = código:
error-label-warning = aviso:

## Errores: qué significa cada código y qué hacer

error-cli-usage = No se entiende la orden
    .hint = Consulte la ayuda de la orden: añada --help.
error-cli-not-confirmed = Sin confirmar; no se ha escrito nada
    .hint = Repita con --yes, o escriba el nombre del dispositivo cuando se le pida.
error-image-bad-name = El nombre de la imagen no es válido
    .hint = Use letras, cifras, guiones y puntos; ninguna parte puede estar vacía, empezar por punto ni ser «..».
error-image-not-found = No existe
    .hint = Revise el nombre; «azud image list DIR» muestra lo que hay.
error-image-not-native = No es una imagen en el formato de Azud
    .hint = Si la hizo otro programa, conviértala con «azud image import».
error-image-truncated = La imagen está incompleta
    .hint = La copia se quedó a medias: cópiela de nuevo o recupere una versión anterior («azud image history»).
error-image-corrupt = La imagen está dañada
    .hint = No la restaure. Cópiela de nuevo o vuelva a una versión anterior («azud image rollback»).
error-image-newer-version = La imagen es de una versión de Azud más nueva
    .hint = Actualice azud en este equipo.
error-image-too-large = La imagen declara un tamaño que el formato no admite
    .hint = El fichero está dañado o es malicioso: no lo use; cópielo de nuevo desde su origen.
error-image-foreign-endian = La imagen se hizo en una máquina con el orden de bytes inverso
    .hint = Restáurela y captúrela de nuevo en una máquina little-endian.
error-image-unknown-format = Formato o compresión desconocidos
    .hint = Se admiten imágenes de partclone y de ntfsclone y discos enteros, sin comprimir o en gzip, lzop, zstd, xz, bzip2 o lz4.
error-image-locked = La imagen está bloqueada
    .hint = Espere a que termine quien la bloqueó e inténtelo de nuevo.
error-image-no-such-version = No hay tal versión en la papelera
    .hint = «azud image history IMAGEN» muestra las que hay.
error-fs-dirty = El sistema de ficheros no se cerró correctamente
    .hint = Revíselo y repárelo, o capture el dispositivo entero con --dirty raw.
error-fs-hibernated = Windows está hibernado en este volumen
    .hint = Arranque Windows, desactive el inicio rápido y apáguelo del todo (shutdown /s /f /t 0).
error-fs-corrupt = El sistema de ficheros está dañado
    .hint = Repárelo con su propia herramienta (fsck, chkdsk) e inténtelo de nuevo.
error-fs-unsupported = El sistema de ficheros usa una característica que Azud no conoce
    .hint = Pruebe con --engine partclone o actualice azud.
error-fs-unknown = No se reconoce ningún sistema de ficheros
    .hint = Compruebe que es la partición correcta, y no el disco entero ni un volumen cifrado.
error-disk-mounted = El dispositivo está montado
    .hint = Desmóntelo (umount) e inténtelo de nuevo.
error-disk-busy = El dispositivo está en uso
    .hint = Detenga lo que lo usa (lo muestran lsblk y fuser -v) e inténtelo de nuevo.
error-disk-not-a-device = No es un dispositivo de bloques ni un fichero normal
    .hint = lsblk muestra los dispositivos de este equipo.
error-disk-too-small = El destino es demasiado pequeño
    .hint = Elija una partición mayor, o reduzca el sistema de ficheros antes de capturarlo.
error-disk-sector-size = El tamaño de sector del destino no se ajusta a la imagen
    .hint = Restaure en un disco cuyos sectores lógicos tengan el tamaño de los del original.
error-disk-holds-source = El destino contiene la propia imagen que se va a restaurar
    .hint = Copie antes la imagen a otro disco, o elija otro destino.
error-disk-target-is-image = El destino es en sí una imagen
    .hint = Quítela antes de en medio («azud image rm» la guarda en la papelera) o elija otro destino.
error-disk-empty = No hay nada que capturar
    .hint = Compruebe que es el dispositivo correcto: no tiene ningún byte.
error-disk-changed = El dispositivo cambió o desapareció durante el trabajo
    .hint = Revise los cables y quién más lo usa, y empiece de nuevo.
error-disk-read-only = El medio es de solo lectura
    .hint = Quite la protección contra escritura, o móntelo con permiso de escritura.
error-disk-no-space = No queda espacio
    .hint = Libere espacio o escriba en otro sitio; las versiones anteriores de las imágenes también ocupan.
error-disk-read-back = Lo que se lee no es lo que se escribió
    .hint = No use el destino: falla su disco, su cable o la memoria.
error-disk-io = El sistema operativo rechazó una operación
    .hint = Mire la causa; dmesg dirá si el disco está fallando.
error-disk-permission = Sin permiso
    .hint = Ejecútelo como root (sudo) o revise los permisos del fichero.
error-tool-missing = Falta un programa
    .hint = Instálelo con el gestor de paquetes del sistema.
error-tool-failed = Ha fallado un programa externo
    .hint = Lea lo que dijo; si lo ejecuta a mano quizá diga más.

## Pedir conformidad

confirm-prompt = Se perderá lo que contiene { $device }. Para seguir, escriba su nombre:
confirm-nobody = nadie ha dado su conformidad para perder lo que contiene { $device }
confirm-other = la respuesta no fue { $device }

## La línea de órdenes

usage-heading = Uso:
usage-commands = Órdenes
usage-arguments = Argumentos
usage-options = Opciones
usage-global = Para todas las órdenes
usage-any-options = [OPCIONES]
usage-possible = [{ $values }]
usage-default = [por defecto: { $value }]
usage-hint = { $command } --help
usage-unknown = aquí no existe { $arg }
usage-suggestion = (¿quería decir { $tip }?)
usage-no-command = no existe la orden «{ $command }»
usage-which-command = no dice qué orden
usage-missing = falta: { $args }
usage-no-value = { $arg } necesita un valor
usage-bad-value = { $arg } no puede ser «{ $value }»
usage-valid-values = debe ser uno de estos: { $values }
usage-conflict = { $arg } y { $other } se contradicen
bad-size = un tamaño es un número de bytes, o algo como 10M, 10MiB, 1.5G
bad-level = es un número entero del 1 al 19
bad-number = es un número entero, 0 o mayor

value-a = A
value-b = B
value-command = ORDEN
value-device = DISPOSITIVO
value-dir = DIR
value-engine = MOTOR
value-foreign = AJENA
value-format = FORMATO
value-how = MODO
value-image = IMAGEN
value-lang = IDIOMA
value-n = N
value-out = SALIDA
value-shell = SHELL
value-size = TAMAÑO
value-version = VERSIÓN

## Ayuda

help = Guarda las imágenes de disco de las aulas y las pone en sus equipos
help-args =
    .help = Explica esta orden
    .version = Muestra la versión
    .json = JSON para programas: un objeto por línea; el último es el resultado
    .quiet = Solo lo que se ha pedido, y los errores
    .lang = Idioma de los mensajes; si no, AZUD_LANG, LC_ALL, LC_MESSAGES, LANG
    .dry-run = Muestra el plan y no hace nada más
    .yes = Sigue adelante sin preguntar
    .image = La imagen
    .level = Compresión, de 1 (rápida) a 19 (la que menos ocupa)
help-demo = Muestra toda la historia en este equipo, sin ser root
    .dir = Dónde trabajar, en vez de un directorio temporal
    .keep = Conserva los ficheros creados
help-completions = Escribe el guion de autocompletado de una shell
    .shell = La shell
help-man = Escribe las páginas de manual
    .dir = Directorio en el que se escriben
help-help = Explica una orden
    .words = La orden, palabra por palabra
help-image = Captura, comprueba, compara y restaura imágenes
help-image-create = Captura un sistema de ficheros en una imagen
    .device = Dispositivo o fichero que se lee; nunca se escribe en él
    .image = Fichero que se escribe; si ya existe, el anterior va a la papelera
    .base = Aprovecha las tramas iguales de esta imagen, o none; si no, de la que se reemplaza
    .engine = Quién busca los bloques usados; si no, Azud, y partclone para lo que no conoce
    .dirty = Captura entero un sistema de ficheros que no se cerró correctamente
    .keep-pagefile = Conserva el contenido de los ficheros de paginación, intercambio e hibernación de Windows
    .read-back = Vuelve a leer la imagen una vez escrita y la comprueba
    .keep-days = Borra las versiones anteriores con más de estos días
    .keep-bytes = Borra las versiones anteriores más viejas que pasen de este tamaño
help-image-restore = Pone una imagen en un dispositivo
    .image = La imagen; - la lee de la entrada estándar
    .device = Dispositivo o fichero en el que se escribe; lo que contiene se pierde
    .changed-only = Compara antes y escribe solo los bloques distintos; también sirve para reanudar
    .read-back = Vuelve a leer el medio una vez escrito y lo comprueba
    .unused = El espacio que la imagen no usa
    .discard = Lo mismo que --unused discard
help-image-info = Dice qué contiene una imagen
help-image-verify = Comprueba todas las tramas de una imagen
    .deep = Además las descomprime
help-image-list = Lista las imágenes
    .dir = Dónde buscar
help-image-diff = Dice qué comparten dos imágenes
    .a = Una imagen
    .b = La otra
help-image-history = Lista las versiones anteriores de una imagen
help-image-rollback = Recupera una versión anterior de una imagen
    .version = Cuál, según la muestra history; si no, la última
help-image-rm = Manda una imagen a la papelera
help-image-export = Convierte una imagen a otro formato
    .out = Fichero que se escribe
    .to = Formato
help-image-import = Hace una imagen a partir de la de otro programa
    .foreign = Imagen de partclone o de ntfsclone, o disco entero, comprimidos o no
    .image = Fichero que se escribe

## Páginas de manual

man-name = NOMBRE
man-synopsis = SINOPSIS
man-description = DESCRIPCIÓN
man-version = VERSIÓN
man-done = { $count ->
    [one] { $count } página escrita en
   *[other] { $count } páginas escritas en
}

## Progreso

phase-map = Lectura del mapa
phase-capture = Captura
phase-compare = Comparación
phase-restore = Restauración
phase-read-back = Relectura
phase-verify = Comprobación
phase-convert = Conversión
progress-of = { $done } de { $total }
progress-left = faltan { $time }
progress-end = { $phase }: { $done } en { $time }, { $rate }

## Planes y resultados

plan-demo = Mostrar toda la historia
plan-image-create = Capturar una imagen
plan-image-restore = Restaurar una imagen
plan-image-rollback = Recuperar una versión anterior
plan-image-rm = Mandar una imagen a la papelera
plan-image-export = Convertir una imagen
plan-image-import = Importar una imagen

result-image-create = Imagen capturada
result-image-restore = Imagen restaurada
result-image-verify = La imagen está bien
result-image-rollback = Versión anterior recuperada
result-image-rm = Imagen en la papelera
result-image-export = Imagen convertida
result-image-import = Imagen importada
result-nothing = No hay nada que hacer

label-base = Base
label-block-size = Tamaño de bloque
label-changed = Cambiado
label-created = Capturada
label-device = Dispositivo
label-device-size = Tamaño del dispositivo
label-engine = Mapa leído por
label-file-size = Tamaño de la imagen
label-file-system = Sistema de ficheros
label-former = Versión anterior
label-format = Formato
label-frames = Tramas
label-host = Equipo
label-identity = Identidad
label-image = Imagen
label-keep-bytes = Se guardan como mucho
label-keep-days = Días que se guardan
label-label = Etiqueta
label-left-out = No se incluye
label-level = Nivel
label-minimum-size = Destino más pequeño
label-mode = Modo
label-only-in-first = Solo en la primera
label-only-in-second = Solo en la segunda
label-out = Salida
label-rate = Velocidad
label-ratio = Proporción
label-read-back = Relectura
label-reused = Aprovechado
label-same = Igual
label-sector-size = Tamaño de sector
label-shared = Compartido
label-source = Origen
label-target = Destino
label-time = Tiempo
label-tool = Hecha con
label-unused = Espacio sin usar
label-used = En uso
label-uuid = UUID
label-version = Versión
label-written = Escrito

word-changed-only = solo lo distinto
word-discard = se descarta
word-leave = se deja como está
word-native = Azud
word-no = no
word-none = ninguna
word-partclone = partclone
word-qcow2 = qcow2
word-raw = el dispositivo entero
word-stdin = la entrada estándar
word-whole = todo
word-yes = sí
word-zero = se pone a cero

warn-destroys = Se perderá todo lo que contiene { $device }.
warn-dirty-raw = El sistema de ficheros no se cerró correctamente: se captura el dispositivo entero. Revíselo después de restaurarlo.
warn-left-out = No se incluye { $name }: { $size } que Windows vuelve a crear (--keep-pagefile lo conserva).
warn-no-map = No se reconoce el sistema de ficheros: se captura el dispositivo entero, salvo ceros y huecos.
warn-replaces = { $image } ya existe: va a la papelera.

count-frames = { $count ->
    [one] { $count } trama
   *[other] { $count } tramas
}
count-images = { $count ->
    [one] { $count } imagen
   *[other] { $count } imágenes
}

## Commands' own words

warn-untrue = { $count ->
    [one] { $count } imagen no es lo que dice su descripción («azud image info IMAGEN» muestra en qué)
   *[other] { $count } imágenes no son lo que dicen sus descripciones («azud image info IMAGEN» muestra en qué)
}
label-modified = Fecha
label-state = Estado
word-locked = bloqueada
word-mounted = montada
word-reduced = reduciéndose
word-verified = verificada
word-damaged = dañada
word-untrue = mal descrita
label-claimed = Descrita como
label-lock = Bloqueada por
label-problem = Problema
label-side-files = Junto a ella
label-untrue = Mal descrita
claim-and-finding = { $fact }: descrita como { $claimed }, es { $found }
label-kept = Ya estaba
label-to-fetch = Por traer
label-dirty = Sin cerrar bien
warn-new-file = { $device } no existe: se crea un fichero nuevo, no se escribe en ningún dispositivo.
warn-incomplete = { $device } puede haber quedado incompleto, sin sistema de ficheros; repita con --changed-only para continuar.
warn-undiscarded = El dispositivo no admite «discard»: el espacio sin usar se ha dejado como estaba.
word-current = actual
verify-bad-frames = Tramas dañadas: { $frames }
word-raw-file = los bytes del dispositivo

## La demostración

label-size = Tamaño
demo-volume = Un sistema de ficheros con archivos reales de este equipo, dentro de un fichero
demo-capture = Capturar sus bloques en uso en una imagen y comprobarla byte a byte
demo-damage = Un solo bit cambiado en una copia se detecta
demo-restore = Restaurar la imagen, releerla y dejar que otros la juzguen
demo-same-files = { $count } ficheros, todos iguales
demo-change = Cambiar unos ficheros y capturar otra vez: las tramas iguales se aprovechan
demo-follow = Poner al día la copia restaurada: solo se escriben los bloques que difieren
demo-kept = Los ficheros están en { $dir }
demo-step = Paso
demo-step-files = Ficheros
demo-step-capture = Captura
demo-step-image = Imagen comprimida
demo-step-verify = Comprobación, descodificando todo
demo-step-restore = Restauración y relectura
demo-step-recapture = Captura tras los cambios
demo-step-new = Lo nuevo de la segunda imagen
demo-step-follow = Restauración de lo que difiere
